#include "demo/platform_game.hpp"

#include <algorithm>
#include <cmath>

#include "vid2vox/core/error.hpp"

namespace vid2vox::demo {

namespace {

constexpr double kTile = Level::kTile;

// Pixels and frames. The jump rises 42 pixels (2.6 tiles) and lasts 37 frames, long enough for a
// gap of three tiles at walking speed.
constexpr double kGravity = 0.25;
constexpr double kReleasedGravity = 0.5;  // after the jump key is let go
constexpr double kJumpSpeed = 4.6;
constexpr double kFallSpeed = 5.0;
constexpr double kWalkSpeed = 1.4;
constexpr double kRunSpeed = 2.4;
constexpr double kAcceleration = 0.12;
constexpr double kFriction = 0.15;
constexpr double kKnockBack = 2.2;
constexpr double kKnockUp = 2.6;
constexpr double kBounce = 3.4;  // after stomping an enemy
constexpr double kEnemySpeed = 0.4;

constexpr double kPlayerWidth = 10;
constexpr double kPlayerHeight = 15;
constexpr double kEnemyWidth = 14;
constexpr double kEnemyHeight = 12;
constexpr double kPlayerOnScreen = 44;  // pixels from the left edge of the picture
constexpr double kEnemyWakes = 160;     // distance at which an enemy starts to walk

constexpr int kStunFrames = 26;
constexpr int kInvincibleFrames = 80;
constexpr int kFlashFrames = 18;
constexpr int kSparkleFrames = 24;
constexpr int kCorpseFrames = 24;
constexpr double kLongestSeconds = 3600;

std::int64_t frame_count(const GameOptions& options) {
  const double frames = options.seconds * PlatformGame::kFramesPerSecond;
  if (!(frames >= 1) || options.seconds > kLongestSeconds) {
    throw Error("a run of " + std::to_string(options.seconds) + " s cannot be played",
                "GameOptions.seconds", "give between 1/60 and 3600 s");
  }
  return static_cast<std::int64_t>(std::llround(frames));
}

int columns_needed(std::int64_t frames) {
  constexpr int kMargin = 24;
  return static_cast<int>(static_cast<double>(frames) * kRunSpeed / kTile) + kMargin;
}

}  // namespace

PlatformGame::PlatformGame(const GameOptions& options)
    : frames_(frame_count(options)),
      level_(options.seed, columns_needed(frames_)),
      random_(RandomKey{options.seed, 0, stream_of("platform player")}) {
  player_.x = 2 * kTile;
  player_.y = level_.ground_row(2) * kTile - kPlayerHeight;
  safe_x_ = player_.x;
  for (const EnemyStart& start : level_.enemies()) {
    enemies_.push_back({.x = start.column * kTile + (kTile - kEnemyWidth) / 2,
                        .y = (start.row + 1) * kTile - kEnemyHeight,
                        .vx = -kEnemySpeed});
  }
}

void PlatformGame::step() {
  if (done()) return;
  reward_now_ = 0;
  hit_now_ = 0;
  if (flash_ > 0) --flash_;
  const Keys keys = decide();
  move_player(keys);
  collect();
  move_enemies();
  meet_enemies();
  if (player_.y > Level::kRows * kTile) fall();
  move_camera();
  for (Sparkle& sparkle : sparkles_) ++sparkle.age;
  std::erase_if(sparkles_, [](const Sparkle& s) { return s.age > kSparkleFrames; });
  for (const bool key : keys) log_.keys.push_back(key ? 1 : 0);
  log_.rewards.push_back(reward_now_);
  log_.hits.push_back(hit_now_);
  ++frame_;
}

bool PlatformGame::solid_at(double x, double y) const {
  return is_solid(
      level_.at(static_cast<int>(std::floor(x / kTile)), static_cast<int>(std::floor(y / kTile))));
}

void PlatformGame::move_player(const Keys& keys) {
  Player& p = player_;
  if (p.invincible > 0) --p.invincible;
  const bool acts = p.stunned == 0;
  if (p.stunned > 0) --p.stunned;
  const int direction = acts ? static_cast<int>(keys[kRight]) - static_cast<int>(keys[kLeft]) : 0;
  const double limit = keys[kRun] ? kRunSpeed : kWalkSpeed;
  if (direction != 0) {
    p.facing = direction;
    p.vx += direction * kAcceleration;
    if (std::abs(p.vx) > limit) {
      p.vx = std::copysign(std::max(limit, std::abs(p.vx) - kFriction), p.vx);
    }
  } else if (acts) {
    p.vx = std::copysign(std::max(0.0, std::abs(p.vx) - kFriction), p.vx);
  }
  if (acts && keys[kJump] && p.on_ground && jump_left_ > 0) {
    p.vy = -kJumpSpeed;
    p.on_ground = false;
  }
  const bool rising_freely = p.vy < 0 && !keys[kJump] && acts;
  p.vy = std::min(p.vy + (rising_freely ? kReleasedGravity : kGravity), kFallSpeed);
  move_horizontally();
  move_vertically();
  p.stride = p.on_ground && std::abs(p.vx) > 0.1 ? p.stride + (std::abs(p.vx) > 1.8 ? 2 : 1) : 0;
}

void PlatformGame::move_horizontally() {
  Player& p = player_;
  const double x = p.x + p.vx;
  const double edge = p.vx > 0 ? x + kPlayerWidth : x;
  constexpr double kFoot = 1;  // the lowest and highest pixel may graze a tile
  const bool blocked = solid_at(edge, p.y + kFoot) || solid_at(edge, p.y + kPlayerHeight / 2) ||
                       solid_at(edge, p.y + kPlayerHeight - kFoot);
  stuck_ = std::abs(p.vx) < 0.3 || blocked ? stuck_ + 1 : 0;
  if (blocked) {
    const double column = std::floor(edge / kTile);
    p.x = p.vx > 0 ? column * kTile - kPlayerWidth - 0.01 : (column + 1) * kTile + 0.01;
    p.vx = 0;
  } else {
    p.x = x;
  }
}

void PlatformGame::move_vertically() {
  Player& p = player_;
  const double y = p.y + p.vy;
  constexpr double kInset = 1;
  const double left = p.x + kInset;
  const double right = p.x + kPlayerWidth - kInset;
  p.on_ground = false;
  if (p.vy >= 0 && (solid_at(left, y + kPlayerHeight) || solid_at(right, y + kPlayerHeight))) {
    p.y = std::floor((y + kPlayerHeight) / kTile) * kTile - kPlayerHeight;
    p.vy = 0;
    p.on_ground = true;
    const int column = static_cast<int>((p.x + kPlayerWidth / 2) / kTile);
    if (level_.ground_row(column) < Level::kRows) safe_x_ = column * kTile + 2;
    return;
  }
  if (p.vy < 0 && (solid_at(left, y) || solid_at(right, y))) {
    const double row = std::floor(y / kTile);
    for (const double x : {p.x + kPlayerWidth / 2, left, right}) {
      const int column = static_cast<int>(x / kTile);
      if (level_.at(column, static_cast<int>(row)) == Tile::kBonus) {
        level_.set(column, static_cast<int>(row), Tile::kUsed);
        reward((column + 0.5) * kTile, (row - 0.5) * kTile);
        break;
      }
    }
    p.y = (row + 1) * kTile;
    p.vy = 0;
    return;
  }
  p.y = y;
}

void PlatformGame::collect() {
  for (const double x : {player_.x, player_.x + kPlayerWidth}) {
    for (const double y : {player_.y + 1, player_.y + kPlayerHeight - 1}) {
      const int column = static_cast<int>(std::floor(x / kTile));
      const int row = static_cast<int>(std::floor(y / kTile));
      if (level_.at(column, row) != Tile::kCoin) continue;
      level_.set(column, row, Tile::kEmpty);
      reward((column + 0.5) * kTile, (row + 0.5) * kTile);
    }
  }
}

void PlatformGame::move_enemies() {
  for (Enemy& enemy : enemies_) {
    if (enemy.dead_for > 0) {
      ++enemy.dead_for;
      continue;
    }
    if (std::abs(enemy.x - player_.x) > kEnemyWakes) continue;
    const double ahead = enemy.vx > 0 ? enemy.x + kEnemyWidth : enemy.x;
    const bool wall = solid_at(ahead + enemy.vx, enemy.y + kEnemyHeight / 2);
    const bool edge = !solid_at(ahead + enemy.vx, enemy.y + kEnemyHeight + 2);
    if (wall || edge)
      enemy.vx = -enemy.vx;
    else
      enemy.x += enemy.vx;
  }
  std::erase_if(enemies_, [this](const Enemy& enemy) {
    return enemy.dead_for > kCorpseFrames || enemy.x < camera_ - kEnemyWakes;
  });
}

void PlatformGame::meet_enemies() {
  for (Enemy& enemy : enemies_) {
    if (enemy.dead_for > 0) continue;
    const bool apart = player_.x > enemy.x + kEnemyWidth || player_.x + kPlayerWidth < enemy.x ||
                       player_.y > enemy.y + kEnemyHeight || player_.y + kPlayerHeight < enemy.y;
    if (apart) continue;
    if (player_.vy > 0 && player_.y + kPlayerHeight < enemy.y + kEnemyHeight * 0.75) {
      enemy.dead_for = 1;
      player_.vy = -kBounce;
      reward(enemy.x + kEnemyWidth / 2, enemy.y);
    } else if (player_.invincible == 0) {
      hit(player_.x < enemy.x ? -1 : 1);
    }
  }
}

void PlatformGame::move_camera() {
  const double target = player_.x - kPlayerOnScreen;
  constexpr double kFollow = 0.12;  // share of the distance a frame: smooth but never far behind
  camera_ += (target - camera_) * kFollow;
  camera_ = std::clamp(camera_, 0.0, level_.columns() * kTile - kWidth);
}

void PlatformGame::reward(double x, double y) {
  reward_now_ += 1;
  sparkles_.push_back({x, y, 0});
}

void PlatformGame::hit(int direction) {
  hit_now_ = 1;
  flash_ = kFlashFrames;
  player_.vx = direction * kKnockBack;
  player_.vy = -kKnockUp;
  player_.on_ground = false;
  player_.stunned = kStunFrames;
  player_.invincible = kInvincibleFrames;
  jump_left_ = 0;
}

void PlatformGame::fall() {
  hit(0);
  player_.x = safe_x_;
  player_.y = 0;
  player_.vx = 0;
  player_.vy = 0;
  if (level_.at(static_cast<int>(safe_x_ / kTile), 0) == Tile::kCeiling) player_.y = kTile;
}

GameRun play(const GameOptions& options, int keep_every, int size) {
  if (size < 1 || PlatformGame::kWidth % size != 0 || keep_every < 1) {
    throw Error("frames of " + std::to_string(size) + " pixels, every " +
                    std::to_string(keep_every) + "th, cannot be made",
                "play", "give a size that divides 128 and a step of at least 1");
  }
  PlatformGame game(options);
  GameRun run;
  run.size = size;
  run.frames_per_second = static_cast<double>(PlatformGame::kFramesPerSecond) / keep_every;
  std::vector<std::uint8_t> picture(PlatformGame::kBytes);
  const int block = PlatformGame::kWidth / size;
  const int area = block * block;
  while (!game.done()) {
    if (game.frame() % keep_every == 0) {
      game.render(picture);
      for (int y = 0; y < size; ++y) {
        for (int x = 0; x < size * 3; ++x) {
          int sum = area / 2;
          for (int i = 0; i < area; ++i) {
            const int row = y * block + i / block;
            const int column = x / 3 * block + i % block;
            sum += picture[static_cast<std::size_t>((row * PlatformGame::kWidth + column) * 3 +
                                                    x % 3)];
          }
          run.frames.push_back(static_cast<std::uint8_t>(sum / area));
        }
      }
      ++run.count;
    }
    game.step();
  }
  run.log = game.log();
  return run;
}

}  // namespace vid2vox::demo
