#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

/// What stands in for the rows before a run's start.
enum class DelayFill {
  kZero,     // 0, as the Delayer of himalaya and of the voxelwise tutorials; 0 is the mean when
             // features were centered before
  kMissing,  // NaN: the first rows of each run drop out of fit and score
};

/// "2:6" (2, 3, 4, 5, 6), "4", "2,4,6" or mixtures ("0,2:4"), in TR. Throws Error for anything
/// else, for negative delays (features from after the BOLD sample) and for repeated ones.
inline std::vector<int> parse_delays(std::string_view text) {
  const std::string where = "delays \"" + std::string(text) + "\"";
  const std::string action = "write them as 2:6, 4 or 2,4,6 (TR, not negative)";
  constexpr int kLargest = 100000;  // TR; more than any run holds
  const auto number = [&](std::string_view digits) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0 ||
        value > kLargest) {
      throw Error("\"" + std::string(digits) + "\" is no delay", where, action);
    }
    return value;
  };
  std::vector<int> delays;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const std::size_t colon = item.find(':');
    const int first = number(item.substr(0, colon));
    const int last = colon == std::string_view::npos ? first : number(item.substr(colon + 1));
    if (last < first) throw Error("a range that runs backwards", where, action);
    for (int delay = first; delay <= last; ++delay) {
      for (const int known : delays) {
        if (known == delay) throw Error("a delay given twice", where, action);
      }
      delays.push_back(delay);
    }
    begin = end + 1;
  }
  return delays;
}

/// Finite-impulse-response features: row i of block j holds row i - delays[j] of the same run.
/// features: [n, d], runs one after the other with run_lengths[r] rows each; returns
/// [n, d * delays], delay by delay (the order of himalaya's Delayer). No row reaches into another
/// run: what would is filled as `fill` says. NaN rows (dropped TRs) make the rows that need them
/// NaN; `complete_rows` finds what is left. Throws Error when the runs do not add up to n, for a
/// negative delay or none.
template <class T>
xt::xtensor<T, 2> delay_features(const xt::xtensor<T, 2>& features,
                                 std::span<const std::size_t> run_lengths,
                                 std::span<const int> delays, DelayFill fill = DelayFill::kZero) {
  const std::size_t n = features.shape(0);
  const std::size_t d = features.shape(1);
  const std::size_t total = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  if (total != n) {
    throw Error("runs of " + std::to_string(total) + " rows, features of " + std::to_string(n),
                "delays", "give the length of every run");
  }
  if (delays.empty()) throw Error("no delay", "delays", "give at least one, for example 0");
  for (const int delay : delays) {
    if (delay < 0) {
      throw Error("delay of " + std::to_string(delay) + " TR", "delays",
                  "features never come from after the BOLD sample");
    }
  }
  const T filler = fill == DelayFill::kZero ? T(0) : std::numeric_limits<T>::quiet_NaN();
  auto delayed = xt::xtensor<T, 2>::from_shape({n, d * delays.size()});
  std::size_t start = 0;
  for (const std::size_t length : run_lengths) {
    parallel_for(length, [&](std::size_t i) {
      T* out = delayed.data() + (start + i) * d * delays.size();
      for (const int delay : delays) {
        const auto shift = static_cast<std::size_t>(delay);
        if (shift > i) {
          std::fill(out, out + d, filler);
        } else {
          const T* source = features.data() + (start + i - shift) * d;
          std::copy(source, source + d, out);
        }
        out += d;
      }
    });
    start += length;
  }
  return delayed;
}

/// Rows [n] of a [n, d] array that hold finite values only: 1 for those, 0 for the rest.
template <class T>
std::vector<char> complete_rows(const MatrixRef<T>& values) {
  const auto n = static_cast<std::size_t>(values.rows());
  std::vector<char> complete(n, 1);
  parallel_for(n, [&](std::size_t i) {
    complete[i] = values.row(internal::index_of(i)).array().isFinite().all() ? 1 : 0;
  });
  return complete;
}

/// The given rows of a [n, d] array, in that order: [rows, d]. Throws Error for a row outside.
template <class T>
xt::xtensor<T, 2> take_rows(const xt::xtensor<T, 2>& values, std::span<const std::size_t> rows) {
  const std::size_t d = values.shape(1);
  auto taken = xt::xtensor<T, 2>::from_shape({rows.size(), d});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= values.shape(0)) {
      throw Error("row " + std::to_string(rows[i]) + " of " + std::to_string(values.shape(0)),
                  "take_rows", "ask for rows that exist");
    }
    const T* source = values.data() + rows[i] * d;
    std::copy(source, source + d, taken.data() + i * d);
  }
  return taken;
}

}  // namespace VID2VOX::encoding
