#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/training/state_dict.hpp"

namespace vid2vox::testing {

/// [batch, channel, t, h, w] of a reference file as [batch, t, h, w, channel].
template <class T>
Buffer<T> channels_last(const io::SafetensorsFile& file, const std::string& name) {
  const auto& shape = file.record(name).shape;
  REQUIRE(shape.size() == 5);
  const std::size_t channels = shape[1];
  const std::size_t tokens = shape[2] * shape[3] * shape[4];
  const auto values = file.read<T>(name);
  Buffer<T> result(values.size());
  for (std::size_t b = 0; b < shape[0]; ++b) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < tokens; ++i) {
        result[(b * tokens + i) * channels + c] = values[(b * channels + c) * tokens + i];
      }
    }
  }
  return result;
}

template <class T>
Buffer<T> plain(const io::SafetensorsFile& file, const std::string& name) {
  const auto values = file.read<T>(name);
  Buffer<T> result(values.size());
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

inline std::vector<std::int32_t> codes(const io::SafetensorsFile& file, const std::string& name) {
  const auto values = file.read<std::int64_t>(name);
  return {values.begin(), values.end()};
}

/// max |a - b| / max |b|.
template <class T, class U>
double relative_error(const T* a, const U* b, std::size_t count) {
  double difference = 0;
  double largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto x = static_cast<double>(a[i]);
    const auto y = static_cast<double>(b[i]);
    difference = std::isnan(x) ? INFINITY : std::max(difference, std::abs(x - y));
    largest = std::max(largest, std::abs(y));
  }
  return largest > 0 ? difference / largest : difference;
}

/// Compares every tensor of a model with the reference tensors prefix + name: max |a - b| <=
/// tolerance * max |b| each. `floor` is an absolute allowance for tensors that are zero but for
/// rounding.
template <class Model, class T>
void check_tensors(const io::SafetensorsFile& file, const std::string& prefix, const T* parameters,
                   const T* buffers, double tolerance, double floor, bool with_buffers) {
  for (const TensorInfo& info : tensor_list<Model>()) {
    const bool is_buffer = info.storage == TensorInfo::Storage::kBuffer;
    if (is_buffer && !with_buffers) continue;
    const T* base = is_buffer ? buffers : parameters;
    const bool integer = info.file_type == TensorInfo::FileType::kInt64;
    std::vector<double> expected;
    if (integer) {
      const auto values = file.read<std::int64_t>(prefix + info.name);
      expected.assign(values.begin(), values.end());
    } else {
      expected = file.read<double>(prefix + info.name);
    }
    double difference = 0;
    double largest = 0;
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      const auto value = static_cast<double>(base[offset]);
      difference =
          std::isnan(value) ? INFINITY : std::max(difference, std::abs(value - expected[position]));
      largest = std::max(largest, std::abs(expected[position]));
    });
    INFO(info.name << ": difference " << difference << ", largest " << largest);
    CHECK(difference <= tolerance * largest + floor);
  }
}

}  // namespace vid2vox::testing
