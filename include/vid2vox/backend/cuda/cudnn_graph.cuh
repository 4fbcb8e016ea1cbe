#pragma once

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"
#include "vid2vox/backend/cuda/runtime_call.cuh"
#include "vid2vox/core/error.hpp"

// The part of cuDNN's graph API (its "backend" API) that we use: tensors, convolutions, and plans.
// In this one file, so that a build needs cuDNN's own headers only.

namespace vid2vox::backend::cuda::cudnn {

/// "9.15.0" of 91500, the way cuDNN 9 writes its versions.
inline std::string version_text(std::size_t version) {
  constexpr std::size_t kMajor = 10000;
  constexpr std::size_t kMinor = 100;
  return std::to_string(version / kMajor) + "." + std::to_string(version % kMajor / kMinor) + "." +
         std::to_string(version % kMinor);
}

/// Throws an Error if this version of the library is one that computes wrong convolutions.
inline void require_version(std::size_t version) {
  constexpr std::size_t kLowest = 91500;
  if (version >= kLowest) return;
  throw Error("version " + version_text(version) + " is older than " + version_text(kLowest) +
                  ": versions around 9.10 gave wrong 16-bit 3-D convolutions on large shapes",
              "cuDNN", "install a newer cuDNN 9, for example from NVIDIA's apt repository or pip");
}

inline void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  constexpr std::size_t kMessage = 512;
  std::array<char, kMessage> message{};
  cudnnGetLastErrorString(message.data(), message.size());
  throw Error(std::string(cudnnGetErrorString(status)) + " " + message.data(), call,
              "set CUDNN_LOGLEVEL_DBG=2 and CUDNN_LOGDEST_DBG=stderr to see more");
}

/// A backend descriptor, owned.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &handle_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor() {
    if (handle_ != nullptr) cudnnBackendDestroyDescriptor(handle_);
  }

  [[nodiscard]] cudnnBackendDescriptor_t get() const { return handle_; }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
           const void* values) {
    check(cudnnBackendSetAttribute(handle_, name, type, count, values), "cudnnBackendSetAttribute");
  }
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, Value value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, part.get());
  }
  [[nodiscard]] std::int64_t integer(cudnnBackendAttributeName_t name) const {
    std::int64_t value = 0;
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(handle_, name, CUDNN_TYPE_INT64, 1, &count, &value),
          "cudnnBackendGetAttribute");
    return value;
  }

  Descriptor&& finalized() && {
    check(cudnnBackendFinalize(handle_), "cudnnBackendFinalize");
    return std::move(*this);
  }
  [[nodiscard]] cudnnStatus_t try_finalize() { return cudnnBackendFinalize(handle_); }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

inline cudnnDataType_t data_type(NumberType type) {
  switch (type) {
    case NumberType::kBfloat16:
      return CUDNN_DATA_BFLOAT16;
    case NumberType::kFloat16:
      return CUDNN_DATA_HALF;
    case NumberType::kFloat32:
      break;
  }
  return CUDNN_DATA_FLOAT;
}

/// The device for which plans are made: that of a handle, on which they run; or one described by
/// JSON as cuDNN writes it, which need not be there.
class Target {
 public:
  explicit Target(cudnnHandle_t handle) : handle_(handle) {}
  explicit Target(const std::string& json) {
    Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
               static_cast<std::int64_t>(json.size()), json.data());
    device_ = std::move(device).finalized();
  }

  void set_graph(Descriptor& graph) const {
    if (!device_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  }
  void set_heuristics(Descriptor& heuristics) const {
    if (device_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device_);
  }
  void set_plan(Descriptor& plan) const {
    if (device_) {
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device_);
    } else {
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    }
  }

 private:
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> device_;
};

/// A tensor of which `extents` are [n, channels, t, h, w], in memory channels last and packed.
inline Descriptor channels_last(std::int64_t id, NumberType type,
                                const std::array<std::int64_t, 5>& extents) {
  constexpr std::int64_t kAlignment = 16;  // bytes: that of every buffer that we pass
  const auto [n, c, t, h, w] = extents;
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(type));
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, t, h, w});
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, {t * h * w * c, 1, h * w * c, w * c, c});
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  return std::move(tensor).finalized();
}

/// Which engines a plan may use.
struct EngineRules {
  bool tensor_cores = true;  // of float32 inputs: rounds them to TF32
};

/// A way to compute one operation, ready to run any number of times, from any thread.
struct Plan {
  std::vector<Descriptor> parts;  // what the plan refers to
  Descriptor plan;
  std::size_t workspace_bytes = 0;
};

namespace detail {

inline bool allowed(const Descriptor& engine, const EngineRules& rules) {
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(engine.get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count,
                                 notes.data()),
        "cudnnBackendGetAttribute of an engine's notes");
  return std::none_of(notes.begin(), notes.begin() + count, [&](cudnnBackendNumericalNote_t note) {
    const bool rounds_inputs = note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
                               note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    // Results must be the same in every run, with float32 sums and without a transformation's loss.
    return note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
           note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
           note == CUDNN_NUMERICAL_NOTE_WINOGRAD || note == CUDNN_NUMERICAL_NOTE_FFT ||
           (rounds_inputs && !rules.tensor_cores);
  });
}

/// The engine configurations that a heuristic proposes, best first.
inline std::vector<Descriptor> propose(const Target& target, const Descriptor& graph,
                                       cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  target.set_heuristics(heuristics);
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return {};
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
        "cudnnBackendGetAttribute of the number of engines");
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
  }
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data()),
        "cudnnBackendGetAttribute of the engines");
  configurations.erase(configurations.begin() + count, configurations.end());
  return configurations;
}

inline Descriptor engine_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
        "cudnnBackendGetAttribute of an engine");
  return engine;
}

}  // namespace detail

/// The first proposal, of the heuristic A and then of the fallback, that the rules allow and that
/// can be made into a plan. `parts` are descriptors that must live as long as the plan; the last
/// one is the operation. `what` names it in the Error that is thrown where there is no plan.
inline Plan make_plan(const Target& target, std::vector<Descriptor> parts, const EngineRules& rules,
                      const std::string& what) {
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  target.set_graph(graph);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts.back());
  parts.push_back(std::move(graph).finalized());
  std::size_t tried = 0;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& configuration : detail::propose(target, parts.back(), mode)) {
      ++tried;
      if (!detail::allowed(detail::engine_of(configuration), rules)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      target.set_plan(plan);
      if (plan.try_finalize() != CUDNN_STATUS_SUCCESS) continue;
      const auto bytes = plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
      parts.push_back(std::move(configuration));
      return {std::move(parts), std::move(plan), static_cast<std::size_t>(bytes)};
    }
  }
  throw Error("none of " + std::to_string(tried) + " engines of cuDNN " +
                  version_text(cudnnGetVersion()) + " computes this",
              what, "use another precision, or another number of channels");
}

/// A tensor's id and memory.
struct Binding {
  std::int64_t id;
  const void* data;
};

/// Runs a plan on the handle's stream.
inline void execute(cudnnHandle_t handle, const Plan& plan, const std::vector<Binding>& bindings,
                    void* workspace) {
  std::vector<std::int64_t> ids;
  std::vector<const void*> pointers;
  for (const Binding& binding : bindings) {
    ids.push_back(binding.id);
    pointers.push_back(binding.data);
  }
  const auto count = static_cast<std::int64_t>(bindings.size());
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  const Descriptor finished = std::move(pack).finalized();
  check(cudnnBackendExecute(handle, plan.plan.get(), finished.get()), "cudnnBackendExecute");
}

/// This thread's handle for the current device, set to a stream. Never destroyed: at the end of a
/// thread the CUDA runtime may be gone before us.
inline cudnnHandle_t handle_on(Stream stream) {
  static thread_local std::map<int, cudnnHandle_t> handles;
  require_device();
  int device = 0;
  check_call(cudaGetDevice(&device), "cudaGetDevice");
  cudnnHandle_t& handle = handles[device];
  if (handle == nullptr) {
    require_version(cudnnGetVersion());
    check(cudnnCreate(&handle), "cudnnCreate");
  }
  check(cudnnSetStream(handle, stream.handle), "cudnnSetStream");
  return handle;
}

}  // namespace vid2vox::backend::cuda::cudnn
