#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "vid2vox/core/random.hpp"

// Data for the tests of the codebook, and the definition of the nearest code.

namespace vid2vox::test {

inline std::vector<float> normal(std::size_t count, const char* stream, double scale = 1,
                                 double mean = 0) {
  const RandomKey key{29, 0, stream_of(stream)};
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(mean + scale * key.normal(i));
  }
  return values;
}

inline std::size_t below(std::size_t bound, std::uint64_t element) {
  return RandomKey{31, 0, stream_of("choice")}.word(element) % bound;
}

/// |z - e|^2 in float64.
inline double distance(const float* z, const float* e, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(z[i]) - static_cast<double>(e[i]);
    sum += difference * difference;
  }
  return sum;
}

/// The definition, for a row.
inline std::int32_t nearest_of(const float* z, const std::vector<float>& e, std::size_t dim) {
  std::int32_t nearest = 0;
  double smallest = std::numeric_limits<double>::infinity();
  for (std::size_t code = 0; code < e.size() / dim; ++code) {
    const double here = distance(z, e.data() + code * dim, dim);
    if (here < smallest) {
      smallest = here;
      nearest = static_cast<std::int32_t>(code);
    }
  }
  return nearest;
}

}  // namespace vid2vox::test
