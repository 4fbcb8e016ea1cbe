#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parameters.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/models/model_state.hpp"

namespace VID2VOX {

/// "[2, 3]" for messages.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (const std::size_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

/// Reads models out of a safetensors file that holds a PyTorch state dict, converting layouts. A
/// file may hold several models under different prefixes.
class StateDictReader {
 public:
  explicit StateDictReader(const io::SafetensorsFile& file) : file_(file) {}

  /// Fills the flat buffers (on the host) of a model whose tensors are named prefix + their own
  /// names. All tensors are checked before any is read. Throws Error naming the tensor that is
  /// missing, misshapen or mistyped.
  template <class Model, class T>
  void load(const std::string& prefix, T* parameters, T* buffers) {
    const auto tensors = tensor_list<Model>();
    for (const TensorInfo& info : tensors) check(prefix + info.name, info);
    for (const TensorInfo& info : tensors) {
      T* base = info.storage == TensorInfo::Storage::kParameter ? parameters : buffers;
      const std::string name = prefix + info.name;
      if (info.file_type == TensorInfo::FileType::kInt64) {
        store(info, file_.read<std::int64_t>(name), base);
      } else {
        store(info, file_.read<T>(name), base);
      }
    }
  }

  /// The same for a model on any device.
  template <class Model, class ThePolicy>
  void load(const std::string& prefix, ModelState<ThePolicy>& state) {
    using A = typename ModelState<ThePolicy>::A;
    Buffer<A> parameters(state.parameters.size());
    Buffer<A> buffers(state.buffers.size());
    load<Model>(prefix, parameters.data(), buffers.data());
    state.upload(parameters.data(), buffers.data());
  }

  /// Throws Error naming a tensor below `prefix` that no load() has used.
  void require_all_used(const std::string& prefix = "") const {
    for (const auto& record : file_.tensors()) {
      if (record.name.starts_with(prefix) && !used_.contains(record.name)) {
        throw Error("the model has no such tensor", place(record.name),
                    "check that the file belongs to this model and preset");
      }
    }
  }

 private:
  [[nodiscard]] std::string place(const std::string& name) const {
    return file_.name() + ", tensor '" + name + "'";
  }

  void check(const std::string& name, const TensorInfo& info) {
    if (!file_.contains(name)) {
      throw Error("the tensor is missing", place(name),
                  "check that the file belongs to this model and preset");
    }
    const auto& record = file_.record(name);
    if (record.shape != info.shape) {
      throw Error(
          "its shape is " + shape_text(record.shape) + ", the model's is " + shape_text(info.shape),
          place(name), "check that the file belongs to this model and preset");
    }
    const bool integer = info.file_type == TensorInfo::FileType::kInt64;
    const bool is_integer = record.type == io::DataType::kI64;
    const bool is_float = record.type == io::DataType::kF32 || record.type == io::DataType::kF64 ||
                          record.type == io::DataType::kF16 || record.type == io::DataType::kBF16;
    if (integer ? !is_integer : !is_float) {
      throw Error("its type is " + std::string(io::name_of(record.type)) + ", the model's is " +
                      (integer ? "I64" : "floating-point"),
                  place(name), "convert the tensor");
    }
    used_.insert(name);
  }

  template <class T, class Value>
  static void store(const TensorInfo& info, const std::vector<Value>& values, T* base) {
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      base[offset] = static_cast<T>(values[position]);
    });
  }

  const io::SafetensorsFile& file_;
  std::set<std::string> used_;
};

/// The model's tensors in PyTorch's layouts, named prefix + their own names; parameters and buffers
/// are on the host.
template <class Model, class T>
void append_state_dict(std::vector<io::NamedTensor>& tensors, const std::string& prefix,
                       const T* parameters, const T* buffers) {
  for (const TensorInfo& info : tensor_list<Model>()) {
    const T* base = info.storage == TensorInfo::Storage::kParameter ? parameters : buffers;
    if (info.file_type == TensorInfo::FileType::kInt64) {
      std::vector<std::int64_t> values(info.size());
      for_each_element(info, [&](std::size_t position, std::size_t offset) {
        values[position] = static_cast<std::int64_t>(std::llround(base[offset]));
      });
      tensors.push_back({prefix + info.name, info.shape, std::move(values)});
    } else {
      std::vector<T> values(info.size());
      for_each_element(
          info, [&](std::size_t position, std::size_t offset) { values[position] = base[offset]; });
      tensors.push_back({prefix + info.name, info.shape, std::move(values)});
    }
  }
}

/// The same for a model on any device.
template <class Model, class ThePolicy>
void append_state_dict(std::vector<io::NamedTensor>& tensors, const std::string& prefix,
                       const ModelState<ThePolicy>& state) {
  using A = typename ModelState<ThePolicy>::A;
  Buffer<A> parameters(state.parameters.size());
  Buffer<A> buffers(state.buffers.size());
  state.download(parameters.data(), buffers.data());
  append_state_dict<Model>(tensors, prefix, static_cast<const A*>(parameters.data()),
                           static_cast<const A*>(buffers.data()));
}

}  // namespace VID2VOX
