// The pictures of the game: sky, far hills, tiles, creatures, sparkles.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "demo/platform_game.hpp"
#include "demo/platform_sprites.hpp"
#include "vid2vox/core/error.hpp"

namespace vid2vox::demo {

namespace {

constexpr int kTile = Level::kTile;

/// Colors of a theme. They differ in brightness and contrast on purpose: day is bright and mild,
/// the cave dark and harsh, snow pale.
struct Palette {
  Color sky_top, sky_bottom, far_hill, near_hill, top, top_dark, soil, soil_dark;
  double stars;  // 0: none, 1: full
};

constexpr std::array<Palette, kThemeCount> kPalettes = {{
    {{88, 168, 248},
     {192, 228, 252},
     {136, 200, 176},
     {96, 176, 112},
     {64, 184, 56},
     {32, 128, 40},
     {184, 120, 64},
     {144, 84, 40},
     0},  // day
    {{8, 8, 40},
     {40, 40, 112},
     {28, 28, 80},
     {20, 20, 60},
     {56, 136, 136},
     {28, 84, 96},
     {52, 60, 104},
     {32, 36, 72},
     1},  // night
    {{20, 12, 16},
     {36, 20, 24},
     {52, 32, 32},
     {72, 44, 40},
     {224, 216, 208},
     {148, 136, 132},
     {112, 100, 100},
     {48, 40, 44},
     0},  // cave
    {{240, 104, 64},
     {252, 208, 112},
     {204, 112, 88},
     {164, 76, 72},
     {244, 208, 120},
     {208, 160, 80},
     {200, 144, 72},
     {168, 112, 56},
     0},  // desert at dusk
    {{184, 200, 220},
     {224, 232, 240},
     {200, 212, 228},
     {176, 196, 216},
     {248, 252, 255},
     {216, 228, 244},
     {144, 164, 196},
     {116, 136, 172},
     0},  // snow
}};

std::uint8_t mix(std::uint8_t a, std::uint8_t b, double t) {
  return static_cast<std::uint8_t>(std::lround(a + (b - a) * t));
}

Color mix(Color a, Color b, double t) {
  return {mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)};
}

constexpr int kPitTop = 6;  // row where a gap's darkness begins at the latest

int wrap(int value, int period) { return (value % period + period) % period; }

}  // namespace

class GamePainter {
 public:
  GamePainter(const PlatformGame& game, std::span<std::uint8_t> rgb)
      : game_(game), rgb_(rgb), camera_(static_cast<int>(std::floor(game.camera_))) {
    // The background changes gradually over the tiles around a border between two themes.
    constexpr int kFade = 3 * kTile;
    const int centre = camera_ + PlatformGame::kWidth / 2;
    const Theme before = game.level_.theme((centre - kFade) / kTile);
    const Theme after = game.level_.theme((centre + kFade) / kTile);
    double share = 0;
    if (before != after) {
      int border = centre - kFade;
      while (game.level_.theme(border / kTile) == before) ++border;
      share = std::clamp(0.5 + (centre - border) / (2.0 * kFade), 0.0, 1.0);
    }
    const Palette& a = kPalettes[static_cast<std::size_t>(before)];
    const Palette& b = kPalettes[static_cast<std::size_t>(after)];
    sky_ = {.sky_top = mix(a.sky_top, b.sky_top, share),
            .sky_bottom = mix(a.sky_bottom, b.sky_bottom, share),
            .far_hill = mix(a.far_hill, b.far_hill, share),
            .near_hill = mix(a.near_hill, b.near_hill, share),
            .top = {},
            .top_dark = {},
            .soil = {},
            .soil_dark = {},
            .stars = a.stars + (b.stars - a.stars) * share};
    clouds_ = (share < 0.5 ? before : after) == Theme::kDay;
  }

  void paint() {
    paint_sky();
    paint_hills();
    for (int column = camera_ / kTile; column * kTile < camera_ + PlatformGame::kWidth; ++column) {
      if (game_.level_.ground_row(column) == Level::kRows) paint_pit(column);
      for (int row = 0; row < Level::kRows; ++row) paint_tile(column, row);
    }
    for (const Enemy& enemy : game_.enemies_) paint_enemy(enemy);
    paint_player();
    if (game_.flash_ > 0) paint_flash();
    for (const Sparkle& sparkle : game_.sparkles_) paint_sparkle(sparkle);
  }

 private:
  void put(int x, int y, Color color) {
    if (x < 0 || y < 0 || x >= PlatformGame::kWidth || y >= PlatformGame::kHeight) return;
    std::uint8_t* pixel = &rgb_[static_cast<std::size_t>((y * PlatformGame::kWidth + x) * 3)];
    pixel[0] = color.r;
    pixel[1] = color.g;
    pixel[2] = color.b;
  }

  void box(int x, int y, int width, int height, Color color) {
    for (int j = y; j < y + height; ++j) {
      for (int i = x; i < x + width; ++i) put(i, j, color);
    }
  }

  template <class Sprite>
  void sprite(const Sprite& rows, int x, int y, bool mirrored, const Color* all = nullptr) {
    for (std::size_t j = 0; j < rows.size(); ++j) {
      const std::string_view row = rows[j];
      for (std::size_t i = 0; i < row.size(); ++i) {
        const char letter = row[mirrored ? row.size() - 1 - i : i];
        if (letter == '.') continue;
        put(x + static_cast<int>(i), y + static_cast<int>(j), all != nullptr ? *all : ink(letter));
      }
    }
  }

  void paint_sky() {
    for (int y = 0; y < PlatformGame::kHeight; ++y) {
      // Broad bands rather than a smooth gradient: the look of an old console.
      constexpr int kBand = 16;
      const double t = static_cast<double>(y / kBand * kBand) / PlatformGame::kHeight;
      const Color color = mix(sky_.sky_top, sky_.sky_bottom, t);
      for (int x = 0; x < PlatformGame::kWidth; ++x) put(x, y, color);
    }
    if (sky_.stars > 0) paint_stars();
    if (clouds_) paint_clouds();
  }

  void paint_stars() {
    const RandomKey key{7, 0, stream_of("stars")};
    constexpr int kStars = 14;
    for (std::uint64_t i = 0; i < kStars; ++i) {
      const int x = wrap(static_cast<int>(key.uniform(3 * i) * 160) - camera_ / 8, 160);
      const int y = static_cast<int>(key.uniform(3 * i + 1) * 70);
      box(x, y, 2, 2, mix(sky_.sky_top, Color{255, 255, 224}, sky_.stars));
    }
    const int moon = wrap(96 - camera_ / 16, 192);
    disc(moon, 26, 10, 10, mix(sky_.sky_top, Color{240, 240, 208}, sky_.stars));
    disc(moon + 5, 23, 8, 8, sky_.sky_top);
  }

  void paint_clouds() {
    constexpr int kPeriod = 176;
    for (const auto& [offset, y] : {std::pair{10, 24}, {74, 40}, {130, 16}}) {
      const int x = wrap(offset - camera_ / 4, kPeriod) - 24;
      for (const auto& [dx, dy, radius] : {std::array{0, 2, 6}, {9, -2, 9}, {20, 2, 7}}) {
        disc(x + dx, y + dy, radius, radius - 2, Color{252, 252, 252});
      }
    }
  }

  void paint_hills() {
    for (int x = 0; x < PlatformGame::kWidth; ++x) {
      const double far = (x + camera_ / 4.0) * 2 * std::numbers::pi / 120;
      const double near = (x + camera_ / 2.0) * 2 * std::numbers::pi / 88;
      const int far_top = static_cast<int>(62 - 12 * std::sin(far) - 5 * std::sin(2.3 * far));
      const int near_top = static_cast<int>(86 - 10 * std::abs(std::sin(near)));
      for (int y = far_top; y < near_top; ++y) put(x, y, sky_.far_hill);
      for (int y = near_top; y < PlatformGame::kHeight; ++y) put(x, y, sky_.near_hill);
    }
  }

  void disc(int cx, int cy, int rx, int ry, Color color) {
    for (int y = -ry; y <= ry; ++y) {
      for (int x = -rx; x <= rx; ++x) {
        if (x * x * ry * ry + y * y * rx * rx <= rx * rx * ry * ry) put(cx + x, cy + y, color);
      }
    }
  }

  void paint_tile(int column, int row) {
    const Tile tile = game_.level_.at(column, row);
    if (tile == Tile::kEmpty) return;
    const int x = column * kTile - camera_;
    const int y = row * kTile;
    const Palette& palette = kPalettes[static_cast<std::size_t>(game_.level_.theme(column))];
    switch (tile) {
      case Tile::kGround:
        box(x, y, kTile, kTile, palette.soil);
        box(x, y, kTile, 5, palette.top);
        for (int i = 0; i < kTile; i += 4) box(x + i, y + 5, 2, 2, palette.top_dark);
        paint_soil_marks(x, y, palette);
        return;
      case Tile::kSoil:
        box(x, y, kTile, kTile, palette.soil);
        paint_soil_marks(x, y - 4, palette);
        return;
      case Tile::kCeiling:
        box(x, y, kTile, kTile, palette.soil);
        box(x + 1, y + 1, kTile - 2, kTile - 3, palette.soil_dark);
        box(x, y + kTile - 2, kTile, 2, palette.top_dark);
        return;
      case Tile::kCoin:
        return paint_coin(x, y);
      default:
        return paint_block(tile, x, y);
    }
  }

  /// A gap in the ground: dark, and darker further down.
  void paint_pit(int column) {
    const int x = column * kTile - camera_;
    const Color color = mix(sky_.near_hill, Color{0, 0, 0}, 0.7);
    int edge = column;
    while (game_.level_.ground_row(edge) == Level::kRows) --edge;
    const int top = (std::min(game_.level_.ground_row(edge), kPitTop) + 1) * kTile;
    box(x, top - kTile / 2, kTile, kTile / 2, mix(sky_.near_hill, color, 0.5));
    box(x, top, kTile, PlatformGame::kHeight - top, color);
  }

  void paint_soil_marks(int x, int y, const Palette& palette) {
    box(x + 2, y + 9, 4, 3, palette.soil_dark);
    box(x + 10, y + 12, 4, 3, palette.soil_dark);
  }

  void paint_coin(int x, int y) {
    constexpr std::array<int, 4> kHalfWidth = {5, 4, 2, 4};  // a coin that turns
    constexpr int kFramesPerPhase = 8;
    const int half = kHalfWidth[static_cast<std::size_t>(game_.frame_ / kFramesPerPhase % 4)];
    disc(x + 8, y + 8, half + 1, 7, Color{176, 96, 0});
    disc(x + 8, y + 8, half, 6, Color{255, 208, 0});
    box(x + 8 - half / 2, y + 5, std::max(1, half / 2), 6, Color{255, 248, 176});
  }

  void paint_block(Tile tile, int x, int y) {
    constexpr Color kEdge{56, 24, 16};
    box(x, y, kTile, kTile, kEdge);
    if (tile == Tile::kBrick) {
      constexpr Color kBrick{216, 88, 56};
      box(x + 1, y + 1, 9, 6, kBrick);
      box(x + 11, y + 1, 4, 6, kBrick);
      box(x + 1, y + 8, 4, 7, kBrick);
      box(x + 6, y + 8, 9, 7, kBrick);
    } else if (tile == Tile::kBonus) {
      box(x + 1, y + 1, 14, 14, Color{255, 184, 40});
      for (int i = 0; i < 5; ++i) {  // a white diamond
        box(x + 7 - i, y + 3 + i, 2 + 2 * i, 1, Color{255, 255, 255});
        box(x + 7 - i, y + 12 - i, 2 + 2 * i, 1, Color{255, 255, 255});
      }
    } else if (tile == Tile::kUsed) {
      box(x + 1, y + 1, 14, 14, Color{128, 112, 104});
    } else {
      constexpr Color kWood{224, 160, 80};
      constexpr Color kPlank{152, 92, 40};
      box(x + 1, y + 1, 14, 14, kWood);
      box(x + 3, y + 3, 10, 10, kPlank);
      for (int i = 0; i < 10; ++i) box(x + 3 + i, y + 3 + i, 2, 1, kWood);
    }
  }

  void paint_enemy(const Enemy& enemy) {
    const int x = static_cast<int>(std::lround(enemy.x)) - camera_;
    const int y = static_cast<int>(std::lround(enemy.y));
    if (enemy.dead_for > 0) return sprite(kBeetleFlat, x, y + 8, false);
    sprite(kBeetle, x, y, enemy.vx > 0);
    constexpr int kFramesPerStep = 10;
    const bool step = game_.frame_ / kFramesPerStep % 2 == 0;
    if (step) {
      sprite(kBeetleFeetA, x, y + 9, false);
    } else {
      sprite(kBeetleFeetB, x, y + 9, false);
    }
  }

  void paint_player() {
    const Player& p = game_.player_;
    const int x = static_cast<int>(std::lround(p.x)) - 1 - camera_;
    const int y = static_cast<int>(std::lround(p.y)) - 1;
    constexpr int kBlink = 4;
    constexpr Color kHurt{255, 48, 48};
    const bool blinks = p.invincible > 0 && game_.frame_ / kBlink % 2 == 0;
    const Color* all = blinks ? &kHurt : nullptr;
    const bool left = p.facing < 0;
    sprite(kPlayerBody, x, y, left, all);
    constexpr int kFramesPerStep = 12;
    if (!p.on_ground) {
      sprite(kLegsJump, x, y + 12, left, all);
    } else if (p.stride == 0) {
      sprite(kLegsStand, x, y + 12, left, all);
    } else if (p.stride / kFramesPerStep % 2 == 0) {
      sprite(kLegsApart, x, y + 12, left, all);
    } else {
      sprite(kLegsTogether, x, y + 12, left, all);
    }
  }

  /// Eight rays that fly apart from a white flash.
  void paint_sparkle(const Sparkle& sparkle) {
    const int x = static_cast<int>(std::lround(sparkle.x)) - camera_;
    const int y = static_cast<int>(std::lround(sparkle.y)) - sparkle.age / 2;
    constexpr int kFlash = 8;
    if (sparkle.age < kFlash)
      disc(x, y, 10 - sparkle.age / 2, 10 - sparkle.age / 2, {255, 255, 255});
    const int near = 5 + sparkle.age / 3;
    for (int ray = 0; ray < 8; ++ray) {
      const double angle = ray * std::numbers::pi / 4;
      const int px = x + static_cast<int>(std::lround(near * 1.5 * std::cos(angle)));
      const int py = y + static_cast<int>(std::lround(near * 1.5 * std::sin(angle)));
      box(px - 1, py - 1, 3, 3, ray % 2 == 0 ? Color{255, 255, 255} : Color{255, 232, 64});
    }
  }

  /// A hit tints the whole picture red for a moment.
  void paint_flash() {
    const double share = 0.5 * std::min(1.0, game_.flash_ / 12.0);
    for (std::size_t i = 0; i < rgb_.size(); i += 3) {
      rgb_[i] = mix(rgb_[i], 255, share);
      rgb_[i + 1] = mix(rgb_[i + 1], 0, share);
      rgb_[i + 2] = mix(rgb_[i + 2], 0, share);
    }
  }

  const PlatformGame& game_;
  std::span<std::uint8_t> rgb_;
  int camera_;
  Palette sky_{};
  bool clouds_ = false;
};

void PlatformGame::render(std::span<std::uint8_t> rgb) const {
  if (rgb.size() != static_cast<std::size_t>(kBytes)) {
    throw Error(
        "a picture needs " + std::to_string(kBytes) + " bytes, not " + std::to_string(rgb.size()),
        "PlatformGame::render", "give a buffer of [128, 128, 3]");
  }
  GamePainter(*this, rgb).paint();
}

}  // namespace vid2vox::demo
