#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"

namespace VID2VOX {

/// How a parameter starts.
struct Initializer {
  enum class Kind : std::uint8_t { kZeros, kOnes, kNormal, kUniform };
  Kind kind = Kind::kZeros;
  double scale = 0;  // standard deviation, or half-width of the uniform interval

  static constexpr Initializer zeros() { return {Kind::kZeros, 0}; }
  static constexpr Initializer ones() { return {Kind::kOnes, 0}; }
  static constexpr Initializer normal(double sd) { return {Kind::kNormal, sd}; }
  static constexpr Initializer uniform(double half_width) { return {Kind::kUniform, half_width}; }
};

/// One named tensor inside a flat buffer. `shape` and `stride` follow the axes of PyTorch's
/// state dict: element (i, j, ...) lives at offset + i*stride[0] + j*stride[1] + ... So the reader
/// and the writer convert layouts, and nobody else.
struct TensorInfo {
  enum class Storage : std::uint8_t { kParameter, kBuffer };
  enum class FileType : std::uint8_t { kFloat, kInt64 };

  std::string name;
  std::vector<std::size_t> shape;
  std::vector<std::size_t> stride;
  std::size_t offset = 0;
  Initializer initializer;
  Storage storage = Storage::kParameter;
  FileType file_type = FileType::kFloat;

  [[nodiscard]] std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t extent : shape) product *= extent;
    return product;
  }
};

/// Calls body(position in PyTorch's order, offset in the flat buffer) for the elements [begin,
/// end).
template <class Body>
void for_each_element(const TensorInfo& info, std::size_t begin, std::size_t end,
                      const Body& body) {
  if (begin >= end) return;
  std::vector<std::size_t> index(info.shape.size(), 0);
  for (std::size_t axis = index.size(), rest = begin; axis-- > 0; rest /= info.shape[axis]) {
    index[axis] = rest % info.shape[axis];
  }
  for (std::size_t position = begin; position < end; ++position) {
    std::size_t offset = info.offset;
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      offset += index[axis] * info.stride[axis];
    }
    body(position, offset);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < info.shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/// The same for all elements.
template <class Body>
void for_each_element(const TensorInfo& info, const Body& body) {
  for_each_element(info, 0, info.size(), body);
}

/// Row-major strides of a shape.
inline std::vector<std::size_t> dense_strides(const std::vector<std::size_t>& shape) {
  std::vector<std::size_t> stride(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    stride[axis - 1] = stride[axis] * shape[axis];
  }
  return stride;
}

/// A dense parameter (row-major in PyTorch's own axis order).
inline TensorInfo dense_parameter(std::string name, std::vector<std::size_t> shape,
                                  std::size_t offset, Initializer initializer) {
  TensorInfo info{.name = std::move(name),
                  .shape = std::move(shape),
                  .stride = {},
                  .offset = offset,
                  .initializer = initializer};
  info.stride = dense_strides(info.shape);
  return info;
}

/// A dense buffer (state that no gradient reaches).
inline TensorInfo dense_buffer(std::string name, std::vector<std::size_t> shape, std::size_t offset,
                               Initializer initializer) {
  TensorInfo info = dense_parameter(std::move(name), std::move(shape), offset, initializer);
  info.storage = TensorInfo::Storage::kBuffer;
  return info;
}

/// Where a layer finds its state: the flat parameters, their copy in the type of activations (for
/// float and double the same array), and the flat buffers that training updates (running
/// statistics, codebook). Layers read matrices of weights from the copy and vectors (biases, gains,
/// position tables) from the parameters.
template <class T>
struct State {
  using A = AccumulateOf<T>;
  const A* parameters = nullptr;
  const T* weights = nullptr;
  A* buffers = nullptr;

  State() = default;
  State(const A* masters, const T* copies, A* buffer_values)
      : parameters(masters), weights(copies), buffers(buffer_values) {}
  State(const T* values, T* buffer_values) requires std::is_same_v<T, A>
      : State(values, values, buffer_values) {}

  [[nodiscard]] State at(std::size_t parameter_offset, std::size_t buffer_offset) const {
    return {parameters + parameter_offset, weights + parameter_offset, buffers + buffer_offset};
  }
};

/// Where the visitor of a layer's tensors stands: name prefix and offsets into the two flat
/// buffers.
struct Scope {
  std::string prefix;
  std::size_t parameter_offset = 0;
  std::size_t buffer_offset = 0;

  [[nodiscard]] Scope child(const std::string& name, std::size_t parameters,
                            std::size_t buffers) const {
    const std::string joined =
        name.empty() ? prefix : (prefix.empty() ? name : prefix + "." + name);
    return {joined, parameter_offset + parameters, buffer_offset + buffers};
  }
  [[nodiscard]] std::string name(const std::string& leaf) const {
    return prefix.empty() ? leaf : prefix + "." + leaf;
  }
};

/// Every tensor of a layer or model, in the order of PyTorch's state dict as far as layouts allow.
template <class Layer>
std::vector<TensorInfo> tensor_list(const std::string& prefix = "") {
  std::vector<TensorInfo> list;
  Layer::visit_tensors(Scope{prefix, 0, 0},
                       [&](TensorInfo info) { list.push_back(std::move(info)); });
  return list;
}

/// The initial value of the element at a position.
inline double initial_value(const Initializer& initializer, const RandomKey& key,
                            std::size_t position) {
  switch (initializer.kind) {
    case Initializer::Kind::kZeros:
      break;
    case Initializer::Kind::kOnes:
      return 1;
    case Initializer::Kind::kNormal:
      return initializer.scale * key.normal(position);
    case Initializer::Kind::kUniform:
      return initializer.scale * (2 * key.uniform(position) - 1);
  }
  return 0;
}

/// Fills parameters and buffers, in the host's memory, with their initial values; the same values
/// for a seed whatever the precision, the order of tensors or the number of threads.
template <class Layer, class T>
void initialize(T* parameters, T* buffers, std::uint64_t seed) {
  constexpr std::size_t kGrain = 1 << 14;
  Layer::visit_tensors(Scope{}, [&](const TensorInfo& info) {
    T* base = info.storage == TensorInfo::Storage::kParameter ? parameters : buffers;
    const RandomKey key{seed, 0, stream_of(info.name)};
    parallel_ranges(info.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      for_each_element(info, begin, end, [&](std::size_t position, std::size_t offset) {
        base[offset] = static_cast<T>(initial_value(info.initializer, key, position));
      });
    });
  });
}

}  // namespace VID2VOX
