#include "demo/platform_game.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/error.hpp"

namespace vid2vox::demo {
namespace {

/// Fraction of pixels that differ between two frames of a run.
double changed(const GameRun& run, std::size_t a, std::size_t b) {
  const std::size_t bytes = static_cast<std::size_t>(run.size * run.size) * 3;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < bytes; i += 3) {
    int distance = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      distance += std::abs(run.frames[a * bytes + i + c] - run.frames[b * bytes + i + c]);
    }
    differing += distance > 24 ? 1 : 0;
  }
  return 3.0 * static_cast<double>(differing) / static_cast<double>(bytes);
}

TEST_CASE("The game depends on its seed only") {
  const GameRun a = play({.seed = 5, .seconds = 10});
  const GameRun b = play({.seed = 5, .seconds = 10});
  const GameRun c = play({.seed = 6, .seconds = 10});
  CHECK(a.frames == b.frames);
  CHECK(a.log.keys == b.log.keys);
  CHECK(a.log.rewards == b.log.rewards);
  CHECK(a.frames != c.frames);
  CHECK(a.log.keys != c.log.keys);
}

TEST_CASE("A run has the promised sizes and a full log") {
  const GameRun run = play({.seed = 1, .seconds = 4}, 4, 64);
  CHECK(run.count == 60);
  CHECK(run.frames_per_second == 15.0);
  CHECK(run.frames.size() == 60U * 64 * 64 * 3);
  CHECK(run.log.frames() == 240);
  CHECK(run.log.keys.size() == 240U * kKeyCount);
  CHECK(run.log.hits.size() == 240);
}

TEST_CASE("The scripted player plays: it moves on, jumps, earns rewards, rests and errs") {
  double rewards = 0;
  double hits = 0;
  std::array<double, kKeyCount> held{};
  double idle = 0;
  double frames = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    PlatformGame game({.seed = seed, .seconds = 90});
    while (!game.done()) game.step();
    CHECK(game.player().x > 60.0 * Level::kTile);  // it gets through the level
    const GameLog& log = game.log();
    for (std::size_t i = 0; i < log.frames(); ++i) {
      rewards += log.rewards[i];
      hits += log.hits[i];
      for (std::size_t key = 0; key < kKeyCount; ++key) held[key] += log.keys[i * kKeyCount + key];
      idle += log.keys[i * kKeyCount + kLeft] + log.keys[i * kKeyCount + kRight] == 0 ? 1 : 0;
    }
    frames += static_cast<double>(log.frames());
  }
  CHECK(rewards / 4 > 20);
  CHECK(hits > 0);
  CHECK(hits < rewards / 3);
  CHECK(held[kRight] / frames > 0.4);
  CHECK(held[kLeft] / frames > 0.03);
  CHECK(held[kJump] / frames > 0.1);
  CHECK(held[kRun] / frames > 0.1);
  CHECK(idle / frames > 0.03);
}

TEST_CASE("Keys move the picture: running changes more of it than resting") {
  const GameRun run = play({.seed = 2, .seconds = 90}, 4, 64);
  double moving = 0;
  double resting = 0;
  int moving_frames = 0;
  int resting_frames = 0;
  for (std::size_t i = 4; i < static_cast<std::size_t>(run.count); ++i) {
    bool idle = true;  // during the quarter second before
    for (std::size_t row = 4 * (i - 4); row <= 4 * i; ++row) {
      idle = idle && run.log.keys[row * kKeyCount + kRight] == 0 &&
             run.log.keys[row * kKeyCount + kLeft] == 0;
    }
    (idle ? resting : moving) += changed(run, i - 1, i);
    ++(idle ? resting_frames : moving_frames);
  }
  REQUIRE(resting_frames > 20);
  REQUIRE(moving_frames > 20);
  CHECK(moving / moving_frames > 2 * resting / resting_frames);
}

TEST_CASE("A reward shows as a flash") {
  PlatformGame game({.seed = 1, .seconds = 60});
  std::vector<std::uint8_t> picture(PlatformGame::kBytes);
  const auto white = [&] {
    game.render(picture);
    int count = 0;
    for (std::size_t i = 0; i < picture.size(); i += 3) {
      count += picture[i] == 255 && picture[i + 1] == 255 && picture[i + 2] == 255 ? 1 : 0;
    }
    return count;
  };
  int rewarded = 0;
  while (!game.done() && rewarded < 5) {
    const int before = white();
    game.step();
    if (game.log().rewards.back() == 0) continue;
    ++rewarded;
    CHECK(white() > before + 100);
  }
  CHECK(rewarded == 5);
}

TEST_CASE("Levels have several themes, gaps, coins and enemies, and safe ground at the start") {
  const Level level(3, 400);
  std::set<Theme> themes;
  std::set<Tile> tiles;
  int gaps = 0;
  for (int column = 0; column < level.columns(); ++column) {
    themes.insert(level.theme(column));
    gaps += level.ground_row(column) == Level::kRows ? 1 : 0;
    for (int row = 0; row < Level::kRows; ++row) tiles.insert(level.at(column, row));
  }
  CHECK(themes.size() >= 4);
  CHECK(gaps > 5);
  CHECK(tiles.count(Tile::kCoin) == 1);
  CHECK(tiles.count(Tile::kBonus) == 1);
  CHECK(level.enemies().size() > 3);
  for (int column = 0; column < 6; ++column) CHECK(level.ground_row(column) == 6);
  CHECK(is_solid(level.at(-1, 0)));
  CHECK(level.at(3, -1) == Tile::kEmpty);
}

TEST_CASE("The game refuses what it cannot do") {
  CHECK_THROWS_AS(PlatformGame({.seed = 1, .seconds = 0}), Error);
  CHECK_THROWS_AS(PlatformGame({.seed = 1, .seconds = 1e9}), Error);
  CHECK_THROWS_AS(play({.seed = 1, .seconds = 1}, 4, 60), Error);
  CHECK_THROWS_AS(play({.seed = 1, .seconds = 1}, 0, 64), Error);
  const PlatformGame game({.seed = 1, .seconds = 1});
  std::vector<std::uint8_t> small(100);
  CHECK_THROWS_AS(game.render(small), Error);
}

}  // namespace
}  // namespace vid2vox::demo
