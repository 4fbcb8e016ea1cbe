#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/training/adam.hpp"
#include "vid2vox/training/loss_scale.hpp"

namespace VID2VOX {

/// Everything that a training run must keep to go on bit for bit: the flat state of a model, its
/// optimiser, the loss scale, the steps made, and (on the host) how often each code was used since
/// the epoch began.
template <class ThePolicy>
struct TrainingState : ModelState<ThePolicy> {
  TrainingState(std::size_t parameter_count, std::size_t buffer_count, std::size_t code_count)
      : ModelState<ThePolicy>(parameter_count, buffer_count),
        adam(parameter_count),
        code_counts(code_count) {}

  Adam<ThePolicy> adam;
  LossScale loss_scale = LossScale::of<typename ThePolicy::precision>();
  Buffer<double> code_counts;
  std::uint64_t step = 0;
};

/// Words that identify a run ("model", "seed", ...); a resumed run must agree in all of them.
using Metadata = std::map<std::string, std::string>;

namespace internal {

/// What ops::Memory offers, for arrays that are on the host whatever the device.
struct HostMemory {
  template <class U>
  static void upload(std::size_t n, const U* host, U* y) {
    std::copy_n(host, n, y);
  }
  template <class U>
  static void download(std::size_t n, const U* x, U* host) {
    std::copy_n(x, n, host);
  }
};

/// Calls visit(name, memory that it lies in, array) for every flat array of a training state.
template <class ThePolicy, class Visitor>
void visit_training_arrays(TrainingState<ThePolicy>& state, const Visitor& visit) {
  const ops::Memory<typename ThePolicy::device> on_device;
  visit("parameters", on_device, state.parameters);
  visit("buffers", on_device, state.buffers);
  visit("adam.first_moment", on_device, state.adam.first_moment());
  visit("adam.second_moment", on_device, state.adam.second_moment());
  visit("code_counts", HostMemory{}, state.code_counts);
}

/// The shortest text from which parse_number gets the same number.
inline std::string number_text(double number) {
  constexpr std::size_t kLongest = 32;
  std::array<char, kLongest> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return {text.data(), end};
}

/// A number of the metadata. Throws Error where it is missing or no number.
template <class Number>
Number parse_number(const Metadata& metadata, const std::string& key, const std::string& file) {
  const auto found = metadata.find(key);
  Number number = 0;
  if (found != metadata.end()) {
    const char* end = found->second.data() + found->second.size();
    const auto parsed = std::from_chars(found->second.data(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end) return number;
  }
  throw Error("its metadata have no " + key, file, "resume from a file that training has written");
}

}  // namespace internal

/// Writes the state for resuming. The file appears under its name only when complete.
template <class ThePolicy>
void save_training_state(const std::filesystem::path& path, TrainingState<ThePolicy>& state,
                         Metadata metadata) {
  metadata["step"] = std::to_string(state.step);
  if (state.loss_scale.dynamic()) {
    metadata["adam_step"] = std::to_string(state.adam.steps());
    metadata["loss_scale"] = internal::number_text(state.loss_scale.scale());
    metadata["good_steps"] = std::to_string(state.loss_scale.good_steps());
  }
  std::vector<io::NamedTensor> tensors;
  internal::visit_training_arrays(state, [&](const char* name, [[maybe_unused]] const auto& memory,
                                             auto& array) {
    using Value = std::remove_cvref_t<decltype(*array.data())>;
    if constexpr (std::is_same_v<typename ThePolicy::device, cpu>) {
      tensors.push_back({name, {array.size()}, std::span<const Value>(array.data(), array.size())});
    } else {
      std::vector<Value> values(array.size());
      memory.download(values.size(), array.data(), values.data());
      tensors.push_back({name, {values.size()}, std::move(values)});
    }
  });
  io::write_safetensors(path, metadata, tensors);
}

/// Reads what save_training_state wrote. Throws Error naming the file and what differs: an array's
/// size, or a word of `expected`.
template <class ThePolicy>
void load_training_state(const std::filesystem::path& path, TrainingState<ThePolicy>& state,
                         const Metadata& expected) {
  const io::SafetensorsFile file(path);
  for (const auto& [key, value] : expected) {
    const auto found = file.metadata().find(key);
    const std::string stored = found == file.metadata().end() ? "(absent)" : found->second;
    if (stored != value) {
      throw Error("it was made with " + key + " " + stored + ", not " + value, file.name(),
                  "resume with the options of the first run, or use another output folder");
    }
  }
  internal::visit_training_arrays(state, [&](const char* name, const auto&, auto& array) {
    const auto& record = file.record(name);
    if (record.size() != array.size()) {
      throw Error("it holds " + std::to_string(record.size()) + " values, the model needs " +
                      std::to_string(array.size()),
                  file.name() + ", tensor '" + name + "'", "check the model's preset");
    }
  });
  const auto step = internal::parse_number<std::uint64_t>(file.metadata(), "step", file.name());
  std::uint64_t adam_step = step;
  if (state.loss_scale.dynamic()) {
    adam_step = internal::parse_number<std::uint64_t>(file.metadata(), "adam_step", file.name());
    state.loss_scale.restore(
        internal::parse_number<double>(file.metadata(), "loss_scale", file.name()),
        internal::parse_number<std::uint64_t>(file.metadata(), "good_steps", file.name()));
  }
  internal::visit_training_arrays(state, [&](const char* name, const auto& memory, auto& array) {
    using Value = std::remove_cvref_t<decltype(*array.data())>;
    const auto values = file.template read<Value>(name);
    memory.upload(values.size(), values.data(), array.data());
  });
  state.refresh_weights();
  state.step = step;
  state.adam.set_steps(adam_step);
}

}  // namespace VID2VOX
