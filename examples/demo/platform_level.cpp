#include "demo/platform_level.hpp"

#include <algorithm>
#include <array>

#include "vid2vox/core/random.hpp"

namespace vid2vox::demo {

namespace {

constexpr int kLowGround = 7;  // rows of the ground's top: the lower, the usual, the higher
constexpr int kUsualGround = 6;
constexpr int kHighGround = 5;
constexpr int kStartColumns = 6;  // flat and empty, so that the player starts safely

/// How often a stretch of level shows each kind of pattern. Stretches differ so that coins, enemies
/// and jumps come in bouts of 5 to 20 s, slow enough for a haemodynamic response to follow.
struct Mood {
  int flat, gap, step, crate, coins, blocks, enemy;
};
constexpr std::array<Mood, 5> kMoods = {{
    {4, 2, 2, 2, 2, 2, 1},   // mixed
    {2, 1, 1, 0, 10, 5, 0},  // rich: coins everywhere
    {8, 1, 2, 1, 0, 0, 0},   // plain: a place to run
    {1, 5, 3, 5, 1, 0, 1},   // rough: jump after jump
    {2, 1, 1, 1, 1, 2, 7},   // crowded: enemies
}};

}  // namespace

class Level::Builder {
 public:
  Builder(Level& level, std::uint64_t seed)
      : level_(level), random_(RandomKey{seed, 0, stream_of("platform level")}) {}

  void build() {
    raise_ground(kStartColumns);
    Theme theme = static_cast<Theme>(random_.below(kThemeCount));
    int mood = 0;
    while (column_ < level_.columns_) {
      const int end = std::min(column_ + between(26, 44), level_.columns_);  // columns: 10 to 30 s
      build_stretch(theme, kMoods[static_cast<std::size_t>(mood)], end);
      theme = static_cast<Theme>(
          (static_cast<int>(theme) + 1 + static_cast<int>(random_.below(kThemeCount - 1))) %
          kThemeCount);
      mood = (mood + 1 + static_cast<int>(random_.below(kMoods.size() - 1))) %
             static_cast<int>(kMoods.size());
    }
  }

 private:
  int between(int low, int high) {
    return low + static_cast<int>(random_.below(static_cast<std::uint64_t>(high - low + 1)));
  }

  void build_stretch(Theme theme, const Mood& mood, int end) {
    const int begin = column_;
    while (column_ < end) add_pattern(mood);
    const int last = std::min(column_, level_.columns_);
    for (int column = begin == kStartColumns ? 0 : begin; column < last; ++column) {
      level_.themes_[static_cast<std::size_t>(column)] = theme;
      if (theme == Theme::kCave) level_.set(column, 0, Tile::kCeiling);
    }
  }

  void add_pattern(const Mood& mood) {
    const std::array<int, 7> weights = {mood.flat,  mood.gap,    mood.step, mood.crate,
                                        mood.coins, mood.blocks, mood.enemy};
    int total = 0;
    for (const int weight : weights) total += weight;
    int draw = between(0, total - 1);
    std::size_t kind = 0;
    while (draw >= weights[kind]) draw -= weights[kind++];
    switch (kind) {
      case 0:
        return raise_ground(between(2, 4));
      case 1:
        return add_gap();
      case 2:
        ground_ = ground_ == kUsualGround ? (between(0, 1) == 0 ? kLowGround : kHighGround)
                                          : kUsualGround;
        return raise_ground(between(2, 4));
      case 3:
        return add_crates();
      case 4:
        return add_coins();
      case 5:
        return add_blocks();
      default:
        return add_enemies();
    }
  }

  /// Appends `count` columns of ground at the present height.
  void raise_ground(int count) {
    for (int i = 0; i < count && column_ < level_.columns_; ++i, ++column_) {
      for (int row = ground_; row < kRows; ++row) {
        level_.set(column_, row, row == ground_ ? Tile::kGround : Tile::kSoil);
      }
    }
  }

  void add_gap() {
    raise_ground(1);
    const int width = between(2, 3);
    if (between(0, 2) == 0) {  // an arc of coins over the gap
      for (int i = 0; i < width; ++i) level_.set(column_ + i, ground_ - 3, Tile::kCoin);
    }
    column_ += width;
    raise_ground(2);
  }

  void add_crates() {
    raise_ground(2);
    const int height = between(1, 2);
    const int width = between(1, 2);
    for (int i = 0; i < width; ++i) {
      for (int j = 1; j <= height; ++j) level_.set(column_ + i, ground_ - j, Tile::kCrate);
    }
    raise_ground(width + 2);
  }

  void add_coins() {
    const int width = between(3, 5);
    const int height = between(1, 3);  // tiles above the ground; from 2 on a jump is needed
    for (int i = 0; i < width; ++i) level_.set(column_ + 1 + i, ground_ - height, Tile::kCoin);
    raise_ground(width + 2);
  }

  void add_blocks() {
    const int width = between(2, 4);
    const int row = ground_ - 3;
    for (int i = 0; i < width; ++i) {
      level_.set(column_ + 1 + i, row, between(0, 1) == 0 ? Tile::kBonus : Tile::kBrick);
    }
    raise_ground(width + 3);
  }

  void add_enemies() {
    raise_ground(2);
    const int count = between(1, 2);
    for (int i = 0; i < count; ++i) {
      if (column_ + 2 * i < level_.columns_) {
        level_.enemies_.push_back({column_ + 2 * i, ground_ - 1});
      }
    }
    raise_ground(5);
  }

  Level& level_;
  RandomStream random_;
  int column_ = 0;
  int ground_ = kUsualGround;
};

Level::Level(std::uint64_t seed, int columns)
    : columns_(columns),
      tiles_(static_cast<std::size_t>(columns) * kRows, Tile::kEmpty),
      themes_(static_cast<std::size_t>(columns), Theme::kDay) {
  Builder(*this, seed).build();
}

Tile Level::at(int column, int row) const {
  if (column < 0 || column >= columns_) return Tile::kSoil;
  if (row < 0 || row >= kRows) return Tile::kEmpty;
  return tiles_[static_cast<std::size_t>(column * kRows + row)];
}

void Level::set(int column, int row, Tile tile) {
  if (column < 0 || column >= columns_ || row < 0 || row >= kRows) return;
  tiles_[static_cast<std::size_t>(column * kRows + row)] = tile;
}

Theme Level::theme(int column) const {
  return themes_[static_cast<std::size_t>(std::clamp(column, 0, columns_ - 1))];
}

int Level::ground_row(int column) const {
  for (int row = 0; row < kRows; ++row) {
    if (at(column, row) == Tile::kGround) return row;
  }
  return kRows;
}

}  // namespace vid2vox::demo
