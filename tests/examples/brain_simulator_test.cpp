#include "demo/brain_simulator.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/alignment.hpp"

namespace vid2vox::demo {
namespace {

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double mean_a = 0;
  double mean_b = 0;
  const auto n = static_cast<double>(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / n;
    mean_b += b[i] / n;
  }
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

/// A number with a tolerance, compared by ==.
struct Near {
  double value, tolerance;
  friend bool operator==(double x, const Near& near) {
    return std::abs(x - near.value) <= near.tolerance;
  }
  friend std::ostream& operator<<(std::ostream& out, const Near& near) {
    return out << near.value << " +- " << near.tolerance;
  }
};

std::vector<double> column(const xt::xtensor<float, 2>& bold, std::size_t parcel) {
  std::vector<double> values;
  for (std::size_t k = 0; k < bold.shape(0); ++k) values.push_back(bold(k, parcel));
  return values;
}

std::vector<std::uint8_t> uniform_frame(std::uint8_t value) {
  return std::vector<std::uint8_t>(32U * 32 * 3, value);
}

/// Parcels of one driver each, on 32 x 32 frames.
std::vector<Parcel> one_parcel(Driver driver, VisualField field = {}, double ratio = 1) {
  return {{.label = "p", .driver = driver, .field = field, .signal_to_noise = ratio}};
}

/// Long noise-like video: every frame has its own brightness.
StimulusRecorder flickering(std::vector<Parcel> parcels, std::size_t frames) {
  StimulusRecorder recorder(std::move(parcels), 32, 32, 15);
  const RandomKey key{11, 0, stream_of("test flicker")};
  for (std::size_t i = 0; i < frames; ++i) {
    const double level = key.uniform(i / 60) * 255;  // constant for 4 s
    recorder.add_frame(uniform_frame(static_cast<std::uint8_t>(level)));
  }
  return recorder;
}

TEST_CASE("The canonical response equals SPM's: its peak, undershoot and sum") {
  // spm_hrf(1) of SPM12, normalized to sum 1: 0 .0004 .0197 ... ; its largest value is at 5 s and
  // its smallest at 16 s (documented in many packages, e.g. nilearn's spm_hrf).
  std::vector<double> kernel;
  double sum = 0;
  for (int t = 0; t <= 32; ++t) {
    kernel.push_back(canonical_hrf(t));
    sum += kernel.back();
  }
  CHECK(std::max_element(kernel.begin(), kernel.end()) - kernel.begin() == 5);
  CHECK(std::min_element(kernel.begin(), kernel.end()) - kernel.begin() == 16);
  CHECK(sum == Near{1 - 1.0 / 6, 0.002});
  // Gamma densities by hand: 5^5 e^-5 / 5! - 5^15 e^-5 / 15! / 6.
  CHECK(canonical_hrf(5) == Near{0.17546737 - 0.00015725 / 6, 2e-6});
  CHECK(canonical_hrf(0) == 0);
  CHECK(canonical_hrf(-1) == 0);
  CHECK(canonical_hrf(33) == 0);
}

TEST_CASE("A sample depends only on what began before it") {
  const double tr = 1.49;
  DriverSeries driver{15, std::vector<double>(600, 0.0)};
  const std::vector<double> silent = haemodynamic_response(driver, tr, 20);
  for (const double value : silent) CHECK(value == 0);
  driver.values[150] = 1;  // at 10 s
  const std::vector<double> response = haemodynamic_response(driver, tr, 20);
  for (std::size_t k = 0; k < response.size(); ++k) {
    const double time = static_cast<double>(k) * tr;
    if (time <= 10) CHECK(response[k] == 0);
    CHECK(response[k] == Near{canonical_hrf(time - 10) / 15, 1e-12});
  }
}

TEST_CASE("Drivers measure what they say") {
  std::vector<Parcel> parcels;
  const VisualField left{0, 0, 0.5, 1};
  const VisualField right{0.5, 0, 1, 1};
  for (const Driver driver : {Driver::kContrast, Driver::kMotion}) {
    for (const VisualField& field : {left, right}) {
      parcels.push_back({.label = "p", .driver = driver, .field = field, .signal_to_noise = 1});
    }
  }
  parcels.push_back(
      {.label = "p", .driver = Driver::kLuminance, .field = {}, .signal_to_noise = 1});
  StimulusRecorder recorder(parcels, 32, 32, 15);
  std::vector<std::uint8_t> frame = uniform_frame(0);
  recorder.add_frame(frame);
  for (std::size_t y = 0; y < 32; ++y) {  // stripes in the left half
    for (std::size_t x = 0; x < 16; x += 2) {
      for (std::size_t c = 0; c < 3; ++c) frame[(y * 32 + x) * 3 + c] = 255;
    }
  }
  recorder.add_frame(frame);
  recorder.add_frame(frame);
  const auto series = [&](std::size_t i) { return recorder.series(i).values; };
  CHECK(series(0)[0] == 0);
  CHECK(series(0)[1] == Near{0.5, 1e-4});  // half black, half white
  CHECK(series(1)[1] == Near{0, 1e-6});
  CHECK(series(2)[0] == 0);
  CHECK(series(2)[1] == Near{0.5, 1e-4});
  CHECK(series(2)[2] == 0);
  CHECK(series(3)[1] == 0);
  CHECK(series(4)[1] == Near{0.25, 1e-4});
}

TEST_CASE("A jump counts once, a direction as long as it is held") {
  std::vector<Parcel> parcels = one_parcel(Driver::kKeyJump);
  parcels.push_back({.label = "q", .driver = Driver::kKeyLeft, .field = {}, .signal_to_noise = 1});
  StimulusRecorder recorder(parcels, 32, 32, 15);
  recorder.set_keys({1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 60);
  CHECK(recorder.series(0).values == std::vector<double>{0, 1, 0, 0, 1});
  CHECK(recorder.series(1).values == std::vector<double>{1, 1, 0, 0, 0});
  CHECK(recorder.series(1).rate == 60);
}

TEST_CASE("Driven parcels reach their ceiling, undriven ones do not follow the driver") {
  std::vector<Parcel> parcels = one_parcel(Driver::kLuminance, {}, 1.5);
  parcels.push_back({.label = "quiet", .driver = Driver::kNone, .field = {}, .signal_to_noise = 0});
  const StimulusRecorder recorder = flickering(parcels, 15000);
  const xt::xtensor<float, 2> bold = simulate_bold(recorder, {.seed = 4, .drift = 0});
  const std::vector<double> response =
      haemodynamic_response(recorder.series(0), 1.49, bold.shape(0));
  // The first samples hold the start of the convolution, which z-scoring the driver removes.
  const auto late = [](const std::vector<double>& v) {
    return std::vector<double>(v.begin() + 25, v.end());
  };
  CHECK(correlation(late(column(bold, 0)), late(response)) == Near{parcels[0].ceiling(), 0.06});
  CHECK(std::abs(correlation(late(column(bold, 1)), late(response))) < 0.15);
}

TEST_CASE("Noise has the asked autocorrelation and is independent across parcels and runs") {
  const std::vector<Parcel> parcels(2);
  const StimulusRecorder recorder = flickering(parcels, 45000);
  const xt::xtensor<float, 2> bold =
      simulate_bold(recorder, {.seed = 9, .autocorrelation = 0.4, .drift = 0});
  const std::vector<double> noise = column(bold, 0);
  const std::vector<double> now(noise.begin() + 1, noise.end());
  const std::vector<double> before(noise.begin(), noise.end() - 1);
  CHECK(correlation(now, before) == Near{0.4, 0.06});
  double variance = 0;
  for (const double value : noise) variance += value * value / static_cast<double>(noise.size());
  CHECK(variance == Near{1, 0.12});
  CHECK(std::abs(correlation(noise, column(bold, 1))) < 0.08);
  const auto other =
      simulate_bold(recorder, {.seed = 9, .run = 1, .autocorrelation = 0.4, .drift = 0});
  CHECK(std::abs(correlation(noise, column(other, 0))) < 0.08);
  CHECK(bold == simulate_bold(recorder, {.seed = 9, .autocorrelation = 0.4, .drift = 0}));
  CHECK(bold != simulate_bold(recorder, {.seed = 10, .autocorrelation = 0.4, .drift = 0}));
}

TEST_CASE("A driver that never changes gives noise alone, not NaN") {
  StimulusRecorder recorder(one_parcel(Driver::kLuminance), 32, 32, 15);
  for (int i = 0; i < 300; ++i) recorder.add_frame(uniform_frame(90));
  const auto bold = simulate_bold(recorder, {});
  CHECK(bold.shape(0) == 14);  // 20 s: samples at 0, 1.49, .. 19.37 s
  for (const float value : bold) CHECK(std::isfinite(value));
}

TEST_CASE("Standard parcels: unique labels, both hemispheres, half of them undriven") {
  const std::vector<Parcel> parcels = standard_parcels();
  REQUIRE(parcels.size() == 48);
  std::set<std::string> labels;
  std::map<Driver, int> drivers;
  for (const Parcel& parcel : parcels) {
    labels.insert(parcel.label);
    ++drivers[parcel.driver];
    CHECK((parcel.driver == Driver::kNone) == (parcel.signal_to_noise == 0));
    // The left hemisphere sees the right half of the picture.
    if (parcel.field.right - parcel.field.left == 0.5 && parcel.field.left != 0.25) {
      CHECK(parcel.field.left == (parcel.hemisphere == 'L' ? 0.5 : 0.0));
    }
  }
  CHECK(labels.size() == 48);
  CHECK(drivers[Driver::kNone] == 24);
  CHECK(drivers[Driver::kContrast] == 8);
  CHECK(drivers[Driver::kMotion] == 6);
  CHECK(drivers[Driver::kKeyJump] == 2);
  const std::vector<Parcel> video_only = standard_parcels(false, false);
  REQUIRE(video_only.size() == 48);
  for (std::size_t i = 0; i < 48; ++i) {
    CHECK(video_only[i].label == parcels[i].label);
    CHECK(video_only[i].driver < Driver::kReward);
  }
}

TEST_CASE("The table of parcels survives a round trip and bad tables are named") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "parcels.tsv";
  const std::vector<Parcel> parcels = standard_parcels();
  write_parcels(path, parcels);
  const std::vector<Parcel> read = read_parcels(path);
  REQUIRE(read.size() == parcels.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].label == parcels[i].label);
    CHECK(read[i].driver == parcels[i].driver);
    CHECK(read[i].hemisphere == parcels[i].hemisphere);
    CHECK(read[i].x == parcels[i].x);
    CHECK(read[i].field.bottom == parcels[i].field.bottom);
    CHECK(read[i].signal_to_noise == parcels[i].signal_to_noise);
  }
  CHECK_THROWS_AS(read_parcels(folder.path() / "absent.tsv"), Error);
  std::ofstream(path, std::ios::app) << "x\tmagic\tL\t0\t0\t0\t0\t0\t0\t1\t1\n";
  std::string message;
  try {
    read_parcels(path);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("row 49") != std::string::npos);
  CHECK(message.find("magic") != std::string::npos);
}

TEST_CASE("A played run drives every driven parcel") {
  const GameRun run = play({.seed = 1, .seconds = 60});
  const StimulusRecorder recorder = record_game(run);
  CHECK(recorder.frames() == 900);
  for (std::size_t i = 0; i < recorder.parcels().size(); ++i) {
    const std::vector<double> values = recorder.series(i).values;
    const bool varies = std::set<double>(values.begin(), values.end()).size() > 1;
    CHECK(varies == (recorder.parcels()[i].driver != Driver::kNone));
  }
  const auto bold = simulate_bold(recorder, {.seed = 1});
  CHECK(bold.shape(0) == vid2vox::encoding::sample_count(60, 1.49));
  CHECK(bold.shape(1) == 48);
}

TEST_CASE("The simulator names bad input") {
  CHECK_THROWS_AS(StimulusRecorder(standard_parcels(), 8, 64, 15), Error);
  CHECK_THROWS_AS(StimulusRecorder(standard_parcels(), 64, 64, 0), Error);
  CHECK_THROWS_AS(StimulusRecorder(one_parcel(Driver::kMotion, {0.5, 0, 0.5, 1}), 32, 32, 15),
                  Error);
  StimulusRecorder recorder(one_parcel(Driver::kMotion), 32, 32, 15);
  CHECK_THROWS_AS(recorder.add_frame(std::vector<std::uint8_t>(10)), Error);
  CHECK_THROWS_AS(recorder.set_keys({1, 0, 1}, 60), Error);
  CHECK_THROWS_AS(recorder.set_rewards({std::nanf("")}, 60), Error);
  CHECK_THROWS_AS(simulate_bold(recorder, {}), Error);
  for (int i = 0; i < 300; ++i) recorder.add_frame(uniform_frame(1));
  CHECK_THROWS_AS(simulate_bold(recorder, {.tr_s = 0}), Error);
  CHECK_THROWS_AS(simulate_bold(recorder, {.autocorrelation = 1}), Error);
  CHECK_THROWS_AS(simulate_bold(recorder, {.tr_s = 30}), Error);
}

}  // namespace
}  // namespace vid2vox::demo
