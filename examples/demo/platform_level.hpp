#pragma once

#include <cstdint>
#include <vector>

namespace vid2vox::demo {

/// Look of a stretch of level: each has its own contrast, brightness and background.
enum class Theme : std::uint8_t { kDay, kNight, kCave, kDesert, kSnow };
inline constexpr int kThemeCount = 5;

enum class Tile : std::uint8_t {
  kEmpty,
  kGround,  // top of the ground
  kSoil,    // below the top
  kCrate,   // obstacle that stands on the ground
  kBrick,   // floating platform
  kBonus,   // floating block that gives a reward when hit from below
  kUsed,    // bonus block after the hit
  kCoin,
  kCeiling,  // roof of a cave
};

constexpr bool is_solid(Tile tile) { return tile != Tile::kEmpty && tile != Tile::kCoin; }

struct EnemyStart {
  int column = 0;
  int row = 0;
};

/// A level made from a seed: a grid of tiles [columns, kRows], row 0 on top.
class Level {
 public:
  static constexpr int kTile = 16;  // pixels; 8 after the usual resize from 128 to 64
  static constexpr int kRows = 8;

  Level(std::uint64_t seed, int columns);

  [[nodiscard]] int columns() const { return columns_; }
  /// The tile; empty above and below the grid, solid to the left and right of it.
  [[nodiscard]] Tile at(int column, int row) const;
  void set(int column, int row, Tile tile);
  [[nodiscard]] Theme theme(int column) const;
  /// Row of the topmost ground tile, or kRows where there is a gap.
  [[nodiscard]] int ground_row(int column) const;
  [[nodiscard]] const std::vector<EnemyStart>& enemies() const { return enemies_; }

 private:
  class Builder;
  int columns_;
  std::vector<Tile> tiles_;
  std::vector<Theme> themes_;
  std::vector<EnemyStart> enemies_;
};

}  // namespace vid2vox::demo
