#include "vid2vox/encoding/alignment.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;

/// Clips of 16 frames at 15 fps, one after the other, as the study cuts them.
std::vector<ClipTime> study_clips(std::size_t count, double frame_rate = 15) {
  std::vector<ClipTime> clips;
  for (std::size_t i = 0; i < count; ++i) {
    const auto first = static_cast<double>(16 * i);
    clips.push_back({first / frame_rate, (first + 15) / frame_rate});
  }
  return clips;
}

xt::xtensor<float, 2> random_features(std::size_t n, std::size_t d) {
  auto values = xt::xtensor<float, 2>::from_shape({n, d});
  const vid2vox::RandomKey key{1, 2, 3};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<float>(key.normal(i));
  }
  return values;
}

/// The definition, clip by clip.
std::vector<std::size_t> clips_of_tr(const std::vector<ClipTime>& clips, std::size_t k,
                                     const WindowOptions& window) {
  const double sample = static_cast<double>(k) * window.tr_s;
  std::vector<std::size_t> inside;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const double age = sample - clips[i].end_s;
    if (age >= window.first * window.tr_s - 1e-9 && age < window.last * window.tr_s - 1e-9) {
      inside.push_back(i);
    }
  }
  return inside;
}

}  // namespace

TEST_CASE("TR features are the mean over the clips of the window") {
  const auto clips = study_clips(42);
  const auto features = random_features(42, 5);
  const std::size_t n_tr = 35;
  for (const WindowOptions window : {WindowOptions{1.49, 3, 5}, WindowOptions{1.49, 0, 1},
                                     WindowOptions{1.49, 0.5, 7.25}, WindowOptions{2, 0, 0.25}}) {
    const auto aligned = align_to_tr(features, clips, n_tr, window);
    std::size_t next_dropped = 0;
    for (std::size_t k = 0; k < n_tr; ++k) {
      const auto inside = clips_of_tr(clips, k, window);
      REQUIRE(aligned.clips_per_tr[k] == inside.size());
      for (const std::size_t i : inside) {
        CHECK(clips[i].end_s <= static_cast<double>(k) * window.tr_s + 1e-9);  // never the future
      }
      if (inside.empty()) {
        REQUIRE(next_dropped < aligned.dropped.size());
        CHECK(aligned.dropped[next_dropped++].index == k);
        CHECK(std::isnan(aligned.values(k, 4)));
        continue;
      }
      for (std::size_t j = 0; j < 5; ++j) {
        double mean = 0;
        for (const std::size_t i : inside) mean += features(i, j);
        mean /= static_cast<double>(inside.size());
        CHECK(aligned.values(k, j) == Approx(mean).margin(1e-6));
      }
    }
    CHECK(next_dropped == aligned.dropped.size());
  }
}

TEST_CASE("windows of one TR partition the clips") {
  const auto clips = study_clips(40);
  const auto aligned = align_to_tr(random_features(40, 1), clips, 60, {1.49, 0, 1});
  std::size_t used = 0;
  for (const std::size_t count : aligned.clips_per_tr) used += count;
  CHECK(used == 40);
  CHECK(aligned.unused_clips == 0);
}

TEST_CASE("a clip that ends exactly at the sample or at the window's start") {
  xt::xtensor<float, 2> features = {{1.0F}, {2.0F}};
  const std::vector<ClipTime> clips = {{0, 1.5}, {1, 3}};
  const auto aligned = align_to_tr(features, clips, 4, {1.5, 0, 1});
  CHECK(aligned.values(1, 0) == 1.0F);  // ends at the sample: belongs to it
  CHECK(aligned.values(2, 0) == 2.0F);  // the clip at 1.5 s is outside (1.5, 3]
  CHECK(aligned.clips_per_tr == std::vector<std::size_t>{0, 1, 1, 0});
  // 0.1 * 3 is not 0.3 in binary: the bound must hold to rounding.
  const std::vector<ClipTime> decimal = {{0, 0.1 + 0.2}, {0, 0.3}};
  CHECK(align_to_tr(features, decimal, 5, {0.1, 0, 1}).clips_per_tr ==
        std::vector<std::size_t>{0, 0, 0, 2, 0});
}

TEST_CASE("what was dropped is said in words") {
  WindowAverage average(6, 1, {1.0, 1, 2});
  const float value = 7;
  average.add({0, 0.5}, {&value, 1});
  average.add({0, 100}, {&value, 1});
  average.skip_event("row 3: stim_file is 'Missing file'");
  const auto aligned = average.finish();
  CHECK(aligned.unused_clips == 1);
  CHECK(describe(aligned) ==
        "1 of 6 TRs have features from 2 clips (1 clips outside every window); dropped TR 0-1 (its "
        "window lies before the start of the run), TR 3-5 (no clip ends in its window); skipped 1 "
        "events: row 3: stim_file is 'Missing file'");
}

TEST_CASE("alignment refuses windows into the future and broken clips") {
  const auto features = random_features(3, 2);
  const auto clips = study_clips(3);
  CHECK_THROWS_AS(align_to_tr(features, clips, 5, {0, 0, 1}), Error);
  CHECK_THROWS_AS(align_to_tr(features, clips, 5, {NAN, 0, 1}), Error);
  CHECK_THROWS_AS(align_to_tr(features, clips, 5, {1.49, -1, 1}), Error);
  CHECK_THROWS_AS(align_to_tr(features, clips, 5, {1.49, 5, 3}), Error);
  CHECK_THROWS_AS(align_to_tr(features, study_clips(2), 5, {1.49, 3, 5}), Error);
  WindowAverage average(5, 2, {1.49, 0, 1});
  const std::vector<float> row = {1, 2};
  CHECK_THROWS_AS(average.add({2, 1}, row), Error);
  CHECK_THROWS_AS(average.add({0, NAN}, row), Error);
  CHECK_THROWS_AS(average.add({0, 1}, {row.data(), 1}), Error);
}
