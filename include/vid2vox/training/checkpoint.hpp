#pragma once

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/training/adam.hpp"

namespace vid2vox {

/// Everything that a training run must keep to go on bit for bit: the flat state of a model, its
/// optimiser, the steps made, and how often each code was used since the epoch began.
template <class ThePolicy>
struct TrainingState {
  using T = Scalar<ThePolicy>;

  TrainingState(std::size_t parameter_count, std::size_t buffer_count, std::size_t code_count)
      : parameters(parameter_count),
        buffers(buffer_count),
        adam(parameter_count),
        code_counts(code_count) {}

  Buffer<T> parameters;
  Buffer<T> buffers;
  Adam<ThePolicy> adam;
  Buffer<double> code_counts;
  std::uint64_t step = 0;
};

/// Words that identify a run ("model", "seed", ...); a resumed run must agree in all of them.
using Metadata = std::map<std::string, std::string>;

namespace detail {

/// Calls visit(name, buffer) for every flat array of a training state.
template <class ThePolicy, class Visitor>
void visit_training_arrays(TrainingState<ThePolicy>& state, const Visitor& visit) {
  visit("parameters", state.parameters);
  visit("buffers", state.buffers);
  visit("adam.first_moment", state.adam.first_moment());
  visit("adam.second_moment", state.adam.second_moment());
  visit("code_counts", state.code_counts);
}

inline std::uint64_t parse_step(const Metadata& metadata, const std::string& file) {
  const auto found = metadata.find("step");
  std::uint64_t step = 0;
  if (found != metadata.end()) {
    const char* end = found->second.data() + found->second.size();
    const auto parsed = std::from_chars(found->second.data(), end, step);
    if (parsed.ec == std::errc{} && parsed.ptr == end) return step;
  }
  throw Error("its metadata have no step", file, "resume from a file that training has written");
}

}  // namespace detail

/// Writes the state for resuming. The file appears under its name only when complete.
template <class ThePolicy>
void save_training_state(const std::filesystem::path& path, TrainingState<ThePolicy>& state,
                         Metadata metadata) {
  using T = Scalar<ThePolicy>;
  metadata["step"] = std::to_string(state.step);
  std::vector<io::NamedTensor> tensors;
  detail::visit_training_arrays(state, [&](const char* name, auto& buffer) {
    using Value = std::remove_cvref_t<decltype(buffer[0])>;
    static_assert(std::is_same_v<Value, T> || std::is_same_v<Value, double>);
    tensors.push_back(
        {name, {buffer.size()}, std::span<const Value>(buffer.data(), buffer.size())});
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
  detail::visit_training_arrays(state, [&](const char* name, auto& buffer) {
    const auto& record = file.record(name);
    if (record.size() != buffer.size()) {
      throw Error("it holds " + std::to_string(record.size()) + " values, the model needs " +
                      std::to_string(buffer.size()),
                  file.name() + ", tensor '" + name + "'", "check the model's preset");
    }
  });
  detail::visit_training_arrays(state, [&](const char* name, auto& buffer) {
    using Value = std::remove_cvref_t<decltype(buffer[0])>;
    const auto values = file.template read<Value>(name);
    std::copy(values.begin(), values.end(), buffer.begin());
  });
  state.step = detail::parse_step(file.metadata(), file.name());
  state.adam.set_steps(state.step);
}

}  // namespace vid2vox
