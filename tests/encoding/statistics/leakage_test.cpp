#include "vid2vox/encoding/statistics/leakage.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/alignment.hpp"
#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/hrf.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::Error;
using Array = xt::xtensor<double, 2>;

const std::vector<std::size_t> kRuns = {12, 9};

Array input() {
  auto values = Array::from_shape({21, 2});
  const vid2vox::RandomKey key{3, 0, 0};
  for (std::size_t i = 0; i < values.size(); ++i) values.data()[i] = key.normal(i);
  return values;
}

std::vector<Leak> leaks_of(const std::function<Array(const Array&)>& make) {
  const RowClock clock = regular_clock(kRuns, 1.5);
  return find_leaks<double>(make, input(), clock, clock);
}

/// The runs as one, shifted: what delays without knowledge of runs do.
Array shifted(const Array& x, int shift) {
  Array out = x;
  const auto n = static_cast<int>(x.shape(0));
  for (int i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < x.shape(1); ++j) {
      out(static_cast<std::size_t>(i), j) = x(static_cast<std::size_t>((i + n - shift) % n), j);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("the library's own features do not leak") {
  const std::vector<int> delays = {0, 2, 5};
  CHECK(leaks_of([&](const Array& x) { return delay_features<double>(x, kRuns, delays); }).empty());
  CHECK(leaks_of([&](const Array& x) {
          return delay_features<double>(x, kRuns, delays, DelayFill::kMissing);
        }).empty());
  CHECK(leaks_of([&](const Array& x) {
          return convolve_hrf<double>(x, kRuns, 1.5, HrfBasis::kDispersionDerivative);
        }).empty());
}

TEST_CASE("clips aligned to TRs do not leak from the future") {
  const std::vector<std::size_t> one = {20};
  const auto clips = regular_clock(one, 1.0);  // a clip ends each second
  const std::vector<std::size_t> trs = {14};
  xt::xtensor<float, 2> features = xt::xtensor<float, 2>::from_shape({20, 1});
  for (std::size_t i = 0; i < 20; ++i) features(i, 0) = static_cast<float>(i * i);
  const auto align = [](double first) {
    return [first](const xt::xtensor<float, 2>& x) {
      std::vector<ClipTime> times;
      // `first` seconds early: clips that pretend to have ended before they did.
      for (std::size_t i = 0; i < 20; ++i) {
        const double end = std::max(0.0, static_cast<double>(i) - first);
        times.push_back({end, end});
      }
      return align_to_tr(x, times, 14, {.tr_s = 1.49, .first = 0, .last = 2}).values;
    };
  };
  const auto clock = regular_clock(trs, 1.49);
  CHECK(find_leaks<float>(align(0), features, clips, clock).empty());
  const auto early = find_leaks<float>(align(2), features, clips, clock);
  REQUIRE_FALSE(early.empty());
  CHECK(early[0].kind == Leak::Kind::kFuture);
}

TEST_CASE("features from the future and from other runs are found") {
  bool future = false;
  bool across = false;
  const auto look = [&](const std::function<Array(const Array&)>& make) {
    future = across = false;
    for (const Leak& leak : leaks_of(make)) {
      (leak.kind == Leak::Kind::kFuture ? future : across) = true;
    }
  };
  look([](const Array& x) { return shifted(x, 2); });  // over the border of runs
  CHECK(across);
  look([](const Array& x) { return shifted(x, -1); });  // the next row
  CHECK(future);
  look([](const Array& x) {  // a convolution of mode 'same': half of the kernel looks ahead
    Array out = x;
    for (std::size_t i = 1; i + 1 < 12; ++i) out(i, 0) = x(i - 1, 0) + x(i, 0) + x(i + 1, 0);
    return out;
  });
  CHECK(future);
  CHECK_FALSE(across);
  look([](const Array& x) {  // centered by the mean of all rows
    Array out = x;
    double mean = 0;
    for (std::size_t i = 0; i < 21; ++i) mean += x(i, 0) / 21;
    for (std::size_t i = 0; i < 21; ++i) out(i, 0) -= mean;
    return out;
  });
  CHECK(future);
  CHECK(across);
  const RowClock clock = regular_clock(kRuns, 1.5);
  const std::vector<std::size_t> one = {20};
  CHECK_THROWS_AS(
      find_leaks<double>([](const Array& x) { return x; }, input(), clock, regular_clock(one, 1.5)),
      Error);
  CHECK(
      find_leaks<double>([](const Array& x) { return shifted(x, -1); }, input(), clock, clock, {5})
          .size() == 1);
}
