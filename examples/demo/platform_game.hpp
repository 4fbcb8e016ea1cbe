#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "demo/platform_level.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox::demo {

struct GameOptions {
  std::uint64_t seed = 1;
  double seconds = 60;  // length of the run
};

enum Key : std::uint8_t { kLeft, kRight, kJump, kRun };
inline constexpr int kKeyCount = 4;
inline constexpr std::array<const char*, kKeyCount> kKeyNames = {"left", "right", "jump", "run"};

/// What happened in a run, one row a game frame (60 a second).
struct GameLog {
  std::vector<std::uint8_t> keys;  // [frames, kKeyCount]: 1 while the key is held
  std::vector<float> rewards;      // [frames]: coins, bonus blocks and stomped enemies, 1 each
  std::vector<std::uint8_t> hits;  // [frames]: 1 when the player was hit or fell
  [[nodiscard]] std::size_t frames() const { return rewards.size(); }
};

struct Player {
  double x = 0, y = 0;    // pixels: left edge and top edge
  double vx = 0, vy = 0;  // pixels a frame
  bool on_ground = false;
  int facing = 1;
  int stunned = 0;     // frames until the keys act again
  int invincible = 0;  // frames until it can be hit again
  int stride = 0;      // counts frames of walking, for the legs
};

struct Enemy {
  double x = 0, y = 0, vx = 0;
  int dead_for = 0;  // frames since it was stomped; 0: alive
  bool ignored = false;
};

/// A short animation at a place: the sparkle of a reward.
struct Sparkle {
  double x = 0, y = 0;  // centre, pixels
  int age = 0;          // frames
};

/// A side-scrolling platform game, its level made from a seed, played by a scripted player who
/// looks ahead, jumps over gaps and on enemies, collects coins, and at times rests, turns back or
/// errs. Level, play and pixels depend on the options only.
class PlatformGame {
 public:
  static constexpr int kWidth = 128;
  static constexpr int kHeight = 128;
  static constexpr int kFramesPerSecond = 60;
  static constexpr int kBytes = kWidth * kHeight * 3;

  /// Throws vid2vox::Error when the length is not between one frame and an hour.
  explicit PlatformGame(const GameOptions& options);

  /// Plays one frame: the player decides, things move, the log grows by one row. After the last
  /// frame it does nothing.
  void step();
  [[nodiscard]] bool done() const { return frame_ >= frames_; }
  [[nodiscard]] std::int64_t frame() const { return frame_; }
  [[nodiscard]] std::int64_t frames() const { return frames_; }

  /// Draws the present frame. rgb: [kHeight, kWidth, 3]. Throws vid2vox::Error on another size.
  void render(std::span<std::uint8_t> rgb) const;

  [[nodiscard]] const GameLog& log() const { return log_; }
  [[nodiscard]] const Player& player() const { return player_; }
  [[nodiscard]] const Level& level() const { return level_; }

 private:
  friend class GamePainter;
  using Keys = std::array<bool, kKeyCount>;
  enum class Mode : std::uint8_t { kRun, kWalk, kRest, kBack, kHop };

  // The scripted player (platform_player.cpp).
  Keys decide();
  void choose_mode();
  [[nodiscard]] bool wants_jump(int direction);
  [[nodiscard]] bool gap_ahead(int direction, double distance) const;
  [[nodiscard]] bool wall_ahead(int direction, double distance) const;
  [[nodiscard]] bool enemy_ahead(int direction);
  [[nodiscard]] bool reward_above(int direction) const;

  // Physics (platform_game.cpp).
  void move_player(const Keys& keys);
  void move_horizontally();
  void move_vertically();
  void collect();
  void move_enemies();
  void meet_enemies();
  void move_camera();
  void reward(double x, double y);
  void hit(int direction);
  void fall();
  [[nodiscard]] bool solid_at(double x, double y) const;

  std::int64_t frames_;
  std::int64_t frame_ = 0;
  Level level_;
  RandomStream random_;
  GameLog log_;
  Player player_;
  std::vector<Enemy> enemies_;
  std::vector<Sparkle> sparkles_;
  double camera_ = 0;  // pixels: left edge of the picture in the level
  double safe_x_ = 0;  // where the player returns after a fall
  int flash_ = 0;      // frames that the picture still shows the hit
  float reward_now_ = 0;
  std::uint8_t hit_now_ = 0;

  Mode mode_ = Mode::kWalk;
  int mode_left_ = 0;  // frames until the next decision
  int jump_left_ = 0;  // frames that the jump key is still held
  int stuck_ = 0;      // frames without progress
  int pause_between_jumps_ = 0;
};

/// Frames of a run as a model sees them, and its log.
struct GameRun {
  int size = 0;                  // pixels
  double frames_per_second = 0;  // of `frames`; the log has 60
  std::int64_t count = 0;
  std::vector<std::uint8_t> frames;  // [count, size, size, 3]
  GameLog log;
};

/// Plays a run and keeps every `keep_every`-th frame, reduced to size x size by averaging.
/// Throws vid2vox::Error when size does not divide 128 or keep_every is below 1.
GameRun play(const GameOptions& options, int keep_every = 4, int size = 64);

}  // namespace vid2vox::demo
