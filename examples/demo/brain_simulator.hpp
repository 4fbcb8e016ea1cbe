#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "demo/platform_game.hpp"
#include "vid2vox/stimulus/low_level.hpp"

namespace vid2vox::demo {

/// What a simulated parcel responds to. Every driver is computed from the video or from the
/// player's log; kNone is noise alone.
enum class Driver : std::uint8_t {
  kNone,
  kContrast,   // local contrast in the parcel's part of the visual field
  kLuminance,  // mean luminance of the picture
  kMotion,     // local motion energy in the parcel's part of the visual field
  kReward,     // rewards of the game
  kKeyLeft,
  kKeyRight,
  kKeyJump,
};

/// "none", "contrast", "luminance", "motion", "reward", "key left", "key right", "key jump".
const char* driver_name(Driver driver);

/// Part of the picture as shares of its width and height; y grows downwards.
struct VisualField {
  double left = 0, top = 0, right = 1, bottom = 1;
};

struct Parcel {
  std::string label{};
  Driver driver = Driver::kNone;
  VisualField field{};    // for contrast and motion
  char hemisphere = 'L';  // 'L' or 'R'
  // Place on a schematic lateral view, 0 to 1: x from the back of the brain to its front, y from
  // bottom to top.
  double x = 0, y = 0;
  double signal_to_noise = 0;  // ratio of standard deviations; 0 for undriven parcels

  /// Largest correlation that any model can reach in expectation: s / sqrt(1 + s^2).
  [[nodiscard]] double ceiling() const;
};

/// 24 parcels a hemisphere, 12 of them undriven, where a person would look for them: contrast of
/// the opposite visual field at the occipital pole (upper field below, lower field above), motion
/// in front of it, the left hand's keys in the right motor strip and the right hand's in the left
/// one, rewards low in the frontal lobe. Without a log of keys or rewards their parcels stay, but
/// are undriven: files made with and without logs have the same columns.
std::vector<Parcel> standard_parcels(bool has_keys = true, bool has_rewards = true);

/// A driver's values in time: value i holds from i / rate to (i + 1) / rate seconds.
struct DriverSeries {
  double rate = 0;  // Hz
  std::vector<double> values{};
};

/// Measures, frame by frame, what the parcels respond to, so that a long video needs no memory for
/// its pixels.
class StimulusRecorder {
 public:
  /// Throws vid2vox::Error when the size is below 16 x 16 pixels, the rate is not positive, or a
  /// parcel's field is empty.
  StimulusRecorder(std::vector<Parcel> parcels, int height, int width, double frame_rate);

  /// rgb: [height, width, 3]. Throws vid2vox::Error on another size.
  void add_frame(std::span<const std::uint8_t> rgb);
  /// Rewards per log row, at `rate` rows a second.
  void set_rewards(std::vector<float> rewards, double rate);
  /// Keys [rows, kKeyCount], 1 while held, at `rate` rows a second. Throws vid2vox::Error when the
  /// size is not a multiple of kKeyCount.
  void set_keys(std::vector<std::uint8_t> keys, double rate);

  [[nodiscard]] const std::vector<Parcel>& parcels() const { return parcels_; }
  [[nodiscard]] std::size_t frames() const { return frames_.frames(); }
  [[nodiscard]] double seconds() const { return static_cast<double>(frames()) / frame_rate_; }
  /// The time course of a parcel's driver; empty for undriven parcels. For contrast: the mean over
  /// patches of the standard deviation of luminance; for motion: the mean absolute change of
  /// luminance since the frame before; for the jump key: its presses; for other keys: held or not.
  [[nodiscard]] DriverSeries series(std::size_t parcel) const;

 private:
  std::vector<Parcel> parcels_;
  int height_;
  int width_;
  double frame_rate_;
  stimulus::LuminanceFrames frames_;
  std::vector<std::vector<double>> visual_;  // [parcels][frames]; empty unless visual
  DriverSeries rewards_;
  std::array<DriverSeries, kKeyCount> keys_;
};

/// The recorder of a played run, with its log. Throws what StimulusRecorder throws.
StimulusRecorder record_game(const GameRun& run, std::vector<Parcel> parcels = standard_parcels());

struct SimulatorOptions {
  std::uint64_t seed = 1;
  std::uint64_t run = 0;         // runs with one seed have independent noise
  double tr_s = 1.49;            // repetition time, seconds
  double autocorrelation = 0.4;  // of the noise from one sample to the next (AR(1))
  double drift = 0.3;            // standard deviation of the slow drift, in units of the noise's
  double signal_scale = 1;       // multiplies every parcel's signal-to-noise ratio
};

/// The canonical haemodynamic response of SPM12 (spm_hrf.m with its default parameters): a gamma
/// density that peaks at 5 s minus a sixth of one for the undershoot at 15 s, over 32 s; time in
/// seconds after the event, not normalized.
double canonical_hrf(double seconds);

/// Driver convolved with the canonical response, sampled at k * tr_s for k = 0 .. samples-1. Only
/// values that began before the sample count.
std::vector<double> haemodynamic_response(const DriverSeries& driver, double tr_s,
                                          std::size_t samples);

/// BOLD of all parcels, [n_tr, parcels]: signal_to_noise * z-scored response + AR(1) noise of unit
/// variance + slow drift (cosines of 128 s and longer). A driver that never changes gives no
/// signal. Throws vid2vox::Error when the options are out of range, or the video is shorter than
/// two TR.
xt::xtensor<float, 2> simulate_bold(const StimulusRecorder& stimulus,
                                    const SimulatorOptions& options);

/// Writes parcels.tsv: label, driver, hemisphere, x, y, signal_to_noise, ceiling_r and the visual
/// field. The file appears under its name only when complete.
void write_parcels(const std::filesystem::path& path, const std::vector<Parcel>& parcels);

/// Reads what write_parcels wrote. Throws vid2vox::Error naming the file and row.
std::vector<Parcel> read_parcels(const std::filesystem::path& path);

}  // namespace vid2vox::demo
