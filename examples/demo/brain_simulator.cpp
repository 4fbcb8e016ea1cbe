#include "demo/brain_simulator.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/alignment.hpp"

namespace vid2vox::demo {

namespace {

stimulus::PixelField pixels_of(const VisualField& field, int height, int width) {
  return {static_cast<int>(std::lround(field.left * width)),
          static_cast<int>(std::lround(field.top * height)),
          static_cast<int>(std::lround(field.right * width)),
          static_cast<int>(std::lround(field.bottom * height))};
}

bool is_visual(Driver driver) {
  return driver == Driver::kContrast || driver == Driver::kLuminance || driver == Driver::kMotion;
}

void standardize(std::vector<double>& values) {
  double mean = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<double>(values.size());
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean);
  variance /= static_cast<double>(values.size());
  // Rounding alone must not be blown up to a signal.
  constexpr double kNegligible = 1e-20;
  const double scale = variance > kNegligible ? 1 / std::sqrt(variance) : 0;
  for (double& value : values) value = (value - mean) * scale;
}

void check(const SimulatorOptions& options) {
  const auto require = [](bool good, const char* what, const char* action) {
    if (!good) throw Error(what, "SimulatorOptions", action);
  };
  require(options.tr_s > 0 && std::isfinite(options.tr_s), "tr_s is not positive",
          "give the repetition time in seconds");
  require(std::abs(options.autocorrelation) < 1, "autocorrelation is not within (-1, 1)",
          "the default is 0.4");
  require(options.drift >= 0 && std::isfinite(options.drift), "drift is negative",
          "give a ratio of standard deviations");
  require(options.signal_scale >= 0 && std::isfinite(options.signal_scale),
          "signal_scale is negative", "1 keeps the parcels' signal-to-noise ratios");
}

/// Unit-variance AR(1) noise plus drift of `options.drift`.
std::vector<double> make_noise(const SimulatorOptions& options, std::size_t parcel,
                               std::size_t samples) {
  RandomStream random(
      RandomKey{options.seed, (options.run << 32U) | parcel, stream_of("BOLD noise")});
  const double rho = options.autocorrelation;
  const double innovation = std::sqrt(1 - rho * rho);
  std::vector<double> noise(samples);
  double state = random.normal();
  for (double& value : noise) {
    value = state;
    state = rho * state + innovation * random.normal();
  }
  constexpr double kSlowest = 128;  // s: periods that SPM's high-pass filter removes by default
  const double seconds = static_cast<double>(samples) * options.tr_s;
  const int cosines = std::max(1, static_cast<int>(2 * seconds / kSlowest));
  for (int j = 1; j <= cosines; ++j) {
    // sqrt(2): a cosine of unit variance.
    const double amplitude = random.normal() * options.drift * std::sqrt(2.0 / cosines);
    for (std::size_t k = 0; k < samples; ++k) {
      const double phase = (static_cast<double>(k) + 0.5) / static_cast<double>(samples);
      noise[k] += amplitude * std::cos(std::numbers::pi * j * phase);
    }
  }
  return noise;
}

}  // namespace

StimulusRecorder::StimulusRecorder(std::vector<Parcel> parcels, int height, int width,
                                   double frame_rate)
    : parcels_(std::move(parcels)),
      height_(height),
      width_(width),
      frame_rate_(frame_rate),
      frames_(std::max(height, 1), std::max(width, 1)) {
  constexpr int kSmallest = 16;  // two patches a quadrant
  if (height < kSmallest || width < kSmallest || !(frame_rate > 0)) {
    throw Error("frames of " + std::to_string(height) + " x " + std::to_string(width) + " at " +
                    std::to_string(frame_rate) + " Hz",
                "StimulusRecorder", "give at least 16 x 16 pixels and a positive rate");
  }
  for (const Parcel& parcel : parcels_) {
    const stimulus::PixelField p = pixels_of(parcel.field, height, width);
    if (p.left < 0 || p.top < 0 || p.right > width || p.bottom > height || p.left >= p.right ||
        p.top >= p.bottom) {
      throw Error("the visual field is empty or reaches beyond the picture", parcel.label,
                  "give shares of the picture with left < right and top < bottom");
    }
  }
  visual_.resize(parcels_.size());
}

void StimulusRecorder::add_frame(std::span<const std::uint8_t> rgb) {
  frames_.add(rgb);
  const int patch = std::max(4, height_ / 8);  // an eighth of the picture: about one game tile
  for (std::size_t i = 0; i < parcels_.size(); ++i) {
    const Parcel& parcel = parcels_[i];
    const stimulus::PixelField field = pixels_of(parcel.field, height_, width_);
    if (parcel.driver == Driver::kContrast) visual_[i].push_back(frames_.contrast(field, patch));
    if (parcel.driver == Driver::kMotion) visual_[i].push_back(frames_.change(field));
    if (parcel.driver == Driver::kLuminance) visual_[i].push_back(frames_.mean());
  }
}

void StimulusRecorder::set_rewards(std::vector<float> rewards, double rate) {
  if (!(rate > 0)) throw Error("the rate is not positive", "rewards", "give rows a second");
  for (const float reward : rewards) {
    if (!std::isfinite(reward)) throw Error("not a finite number", "rewards", "correct the log");
  }
  rewards_ = {rate, {rewards.begin(), rewards.end()}};
}

void StimulusRecorder::set_keys(std::vector<std::uint8_t> keys, double rate) {
  if (!(rate > 0)) throw Error("the rate is not positive", "keys", "give rows a second");
  if (keys.size() % kKeyCount != 0) {
    throw Error(std::to_string(keys.size()) + " values are no whole rows of " +
                    std::to_string(kKeyCount) + " keys",
                "keys", "give [rows, 4]: left, right, jump, run");
  }
  for (std::size_t key = 0; key < kKeyCount; ++key) {
    keys_[key] = {rate, {}};
    for (std::size_t i = key; i < keys.size(); i += kKeyCount) {
      const bool held = keys[i] != 0;
      const bool held_before = i >= kKeyCount && keys[i - kKeyCount] != 0;
      // A jump is a press; directions are held for seconds.
      const bool counts = key == kJump ? held && !held_before : held;
      keys_[key].values.push_back(counts ? 1 : 0);
    }
  }
}

DriverSeries StimulusRecorder::series(std::size_t parcel) const {
  const Driver driver = parcels_.at(parcel).driver;
  if (is_visual(driver)) return {frame_rate_, visual_[parcel]};
  if (driver == Driver::kReward) return rewards_;
  if (driver == Driver::kKeyLeft) return keys_[kLeft];
  if (driver == Driver::kKeyRight) return keys_[kRight];
  if (driver == Driver::kKeyJump) return keys_[kJump];
  return {};
}

StimulusRecorder record_game(const GameRun& run, std::vector<Parcel> parcels) {
  StimulusRecorder recorder(std::move(parcels), run.size, run.size, run.frames_per_second);
  const std::size_t bytes = static_cast<std::size_t>(3 * run.size * run.size);
  for (std::size_t i = 0; i < static_cast<std::size_t>(run.count); ++i) {
    recorder.add_frame(std::span(run.frames).subspan(i * bytes, bytes));
  }
  recorder.set_rewards(run.log.rewards, PlatformGame::kFramesPerSecond);
  recorder.set_keys(run.log.keys, PlatformGame::kFramesPerSecond);
  return recorder;
}

double canonical_hrf(double seconds) {
  // spm_hrf.m, p = [6 16 1 1 6 0 32]: delays of response and undershoot, dispersions, ratio, onset,
  // length of the kernel.
  constexpr double kResponse = 6;
  constexpr double kUndershoot = 16;
  constexpr double kRatio = 6;
  constexpr double kLength = 32;
  if (seconds <= 0 || seconds > kLength) return 0;
  const auto gamma_density = [seconds](double shape) {
    return std::exp((shape - 1) * std::log(seconds) - seconds - std::lgamma(shape));
  };
  return gamma_density(kResponse) - gamma_density(kUndershoot) / kRatio;
}

std::vector<double> haemodynamic_response(const DriverSeries& driver, double tr_s,
                                          std::size_t samples) {
  constexpr double kLength = 32;  // s, of the kernel
  std::vector<double> response(samples, 0.0);
  if (driver.values.empty()) return response;
  for (std::size_t k = 0; k < samples; ++k) {
    const double time = static_cast<double>(k) * tr_s;
    const double first = std::max(0.0, std::ceil((time - kLength) * driver.rate));
    for (auto i = static_cast<std::size_t>(first); i < driver.values.size(); ++i) {
      const double age = time - static_cast<double>(i) / driver.rate;
      if (age <= 0) break;
      response[k] += driver.values[i] * canonical_hrf(age) / driver.rate;
    }
  }
  return response;
}

xt::xtensor<float, 2> simulate_bold(const StimulusRecorder& stimulus,
                                    const SimulatorOptions& options) {
  check(options);
  const std::size_t samples = encoding::sample_count(stimulus.seconds(), options.tr_s);
  if (stimulus.frames() == 0 || samples < 3) {
    throw Error("the video lasts " + std::to_string(stimulus.seconds()) + " s", "simulate_bold",
                "give a video of at least two TR of " + std::to_string(options.tr_s) + " s");
  }
  const std::size_t parcels = stimulus.parcels().size();
  auto bold = xt::xtensor<float, 2>::from_shape({samples, parcels});
  for (std::size_t i = 0; i < parcels; ++i) {
    DriverSeries driver = stimulus.series(i);
    if (!driver.values.empty()) standardize(driver.values);
    std::vector<double> signal = haemodynamic_response(driver, options.tr_s, samples);
    standardize(signal);
    const std::vector<double> noise = make_noise(options, i, samples);
    const double ratio = stimulus.parcels()[i].signal_to_noise * options.signal_scale;
    for (std::size_t k = 0; k < samples; ++k) {
      bold(k, i) = static_cast<float>(ratio * signal[k] + noise[k]);
    }
  }
  return bold;
}

}  // namespace vid2vox::demo
