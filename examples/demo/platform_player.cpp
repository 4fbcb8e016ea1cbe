// The scripted player: a few moods of play, and reflexes for what comes next.

#include <algorithm>
#include <cmath>

#include "demo/platform_game.hpp"

namespace vid2vox::demo {

namespace {

constexpr double kTile = Level::kTile;
constexpr double kBodyWidth = 10;
constexpr double kBodyHeight = 15;
constexpr int kFullJump = 20;        // frames of holding the key: the highest jump
constexpr double kShortFlight = 26;  // frames that a jump lasts, onto a step or to the ground
constexpr double kLongFlight = 36;
constexpr int kStuckFrames = 30;
constexpr double kLapse = 0.18;  // share of enemies that the player sees too late

/// How likely a mood is, and how long it lasts in seconds. Bouts of this length are what a BOLD
/// signal can follow.
struct MoodLength {
  double weight, shortest, longest;
};
constexpr std::array<MoodLength, 5> kMoods = {{
    {0.25, 3, 9},  // run
    {0.25, 3, 9},  // walk
    {0.17, 2, 6},  // rest
    {0.19, 2, 6},  // back
    {0.14, 3, 7},  // hop
}};

}  // namespace

void PlatformGame::choose_mode() {
  double draw = random_.uniform();
  std::size_t choice = 0;
  while (choice + 1 < kMoods.size() && draw >= kMoods[choice].weight) {
    draw -= kMoods[choice++].weight;
  }
  if (static_cast<Mode>(choice) == mode_) choice = (choice + 1) % kMoods.size();
  mode_ = static_cast<Mode>(choice);
  const MoodLength& mood = kMoods[choice];
  const double seconds = mood.shortest + random_.uniform() * (mood.longest - mood.shortest);
  mode_left_ = static_cast<int>(seconds * kFramesPerSecond);
}

PlatformGame::Keys PlatformGame::decide() {
  // A new mood only starts on firm ground: nobody turns round above a gap.
  if (--mode_left_ <= 0 && player_.on_ground) choose_mode();
  Keys keys{};
  const bool rests = mode_ == Mode::kRest && (player_.on_ground || std::abs(player_.vx) < 0.1);
  int direction = rests ? 0 : 1;
  if (mode_ == Mode::kBack) direction = -1;
  if (mode_ == Mode::kBack && player_.x < 3 * kTile) {
    mode_left_ = 0;
    direction = 0;
  }
  keys[kRight] = direction > 0;
  keys[kLeft] = direction < 0;
  constexpr double kRunUp = 26;  // pixels before a gap where the player gathers speed
  keys[kRun] = mode_ == Mode::kRun || (direction != 0 && gap_ahead(direction, kRunUp)) ||
               (!player_.on_ground && gap_ahead(direction, -kBodyWidth / 2));
  if (pause_between_jumps_ > 0) --pause_between_jumps_;
  if (jump_left_ > 0) {
    --jump_left_;
  } else if (player_.on_ground && player_.stunned == 0 && pause_between_jumps_ == 0 &&
             direction != 0 && wants_jump(direction)) {
    jump_left_ = kFullJump;
    pause_between_jumps_ = kFullJump + 4;
  }
  keys[kJump] = jump_left_ > 0;
  return keys;
}

bool PlatformGame::wants_jump(int direction) {
  const double speed = std::abs(player_.vx);
  // Far enough ahead to leave the ground before the obstacle at the present speed.
  if (gap_ahead(direction, 1 + speed)) return true;
  if (wall_ahead(direction, 6 + 9 * speed)) return true;
  if (enemy_ahead(direction)) return true;
  if (stuck_ > kStuckFrames) return true;
  // A jump for its own sake must not end in a gap.
  for (const double flight : {kShortFlight, kLongFlight}) {
    if (gap_ahead(direction, speed * flight)) return false;
  }
  if (mode_ != Mode::kRun && reward_above(direction)) return true;
  constexpr double kHopsPerFrame = 0.06;
  constexpr double kIdleHopsPerFrame = 0.002;
  return random_.uniform() < (mode_ == Mode::kHop ? kHopsPerFrame : kIdleHopsPerFrame);
}

bool PlatformGame::gap_ahead(int direction, double distance) const {
  const double front = player_.x + (direction > 0 ? kBodyWidth + distance : -distance);
  const int column = static_cast<int>(std::floor(front / kTile));
  const int feet = static_cast<int>(std::floor((player_.y + kBodyHeight + 1) / kTile));
  for (int row = feet; row < Level::kRows; ++row) {
    if (is_solid(level_.at(column, row))) return false;
  }
  return true;
}

bool PlatformGame::wall_ahead(int direction, double distance) const {
  const double front = player_.x + (direction > 0 ? kBodyWidth + distance : -distance);
  return solid_at(front, player_.y + kBodyHeight - 2);
}

bool PlatformGame::enemy_ahead(int direction) {
  for (Enemy& enemy : enemies_) {
    if (enemy.dead_for > 0 || enemy.ignored || std::abs(enemy.y - player_.y) > kTile) continue;
    const double distance = (enemy.x - player_.x) * direction;
    const double closing = std::abs(player_.vx) - enemy.vx * direction;
    constexpr double kFlight = 32;  // frames from the start of a jump to an enemy's back
    const double reach = std::max(closing, 0.5) * kFlight;
    if (distance < 0 || distance > reach) continue;
    if (random_.uniform() < kLapse) {
      enemy.ignored = true;
      continue;
    }
    return true;
  }
  return false;
}

bool PlatformGame::reward_above(int direction) const {
  const int row = static_cast<int>(player_.y / kTile);
  const double front = player_.x + kBodyWidth / 2 + direction * 14 * std::abs(player_.vx);
  const int column = static_cast<int>(front / kTile);
  const int here = static_cast<int>((player_.x + kBodyWidth / 2) / kTile);
  for (int up = 1; up <= 3; ++up) {
    if (level_.at(column, row - up) == Tile::kCoin) return true;
    if (level_.at(here, row - up) == Tile::kBonus) return true;
    if (is_solid(level_.at(here, row - up))) return false;
  }
  return false;
}

}  // namespace vid2vox::demo
