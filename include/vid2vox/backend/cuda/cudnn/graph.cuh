#pragma once

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/runtime/call.cuh"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"

// The part of cuDNN's graph API (its "backend" API) that we use: tensors, operations, and plans.
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

inline constexpr std::int64_t kAlignment = 16;  // bytes: that of every buffer that we pass

/// A tensor of which `extents` are [n, channels, t, h, w], in memory channels last and packed.
inline Descriptor channels_last(std::int64_t id, NumberType type,
                                const std::array<std::int64_t, 5>& extents) {
  const auto [n, c, t, h, w] = extents;
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(type));
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, t, h, w});
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, {t * h * w * c, 1, h * w * c, w * c, c});
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  return std::move(tensor).finalized();
}

/// Operations that a plan computes together, and everything that they refer to.
struct Operations {
  std::vector<Descriptor> parts;
  std::vector<cudnnBackendDescriptor_t> operations;  // some of the parts
};

/// Operations between tensors of four axes, for a plan that computes them together. Sums and
/// intermediate results are float32 unless said otherwise.
class GraphBuilder {
 public:
  using Extents = std::array<std::int64_t, 4>;

  struct Tensor {
    cudnnBackendDescriptor_t descriptor;
    Extents extents;
  };

  static Extents packed_strides(const Extents& extents) {
    return {extents[1] * extents[2] * extents[3], extents[2] * extents[3], extents[3], 1};
  }

  /// A tensor in memory, bound by its id. Strides in elements.
  Tensor memory(std::int64_t id, cudnnDataType_t type, const Extents& extents,
                const Extents& strides) {
    return add(id, type, extents, strides, [](Descriptor&) {});
  }
  /// A float32 number in the host's memory, bound by its id.
  Tensor scalar(std::int64_t id) {
    return add(id, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, [](Descriptor& tensor) {
      tensor.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
    });
  }
  /// A result that need not exist in memory.
  Tensor intermediate(const Extents& extents, cudnnDataType_t type, const Extents& strides) {
    return add(next_id_++, type, extents, strides, [](Descriptor& tensor) {
      tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, true);
    });
  }
  Tensor intermediate(const Extents& extents, cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return intermediate(extents, type, packed_strides(extents));
  }

  /// c = a b in the last two axes.
  void matmul(const Tensor& a, const Tensor& b, const Tensor& c) {
    Descriptor product(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    product.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    Descriptor operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, keep(std::move(product)));
    set(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    set(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    add_operation(std::move(operation));
  }

  /// y = mode(x, b, t), where an axis of extent 1 is repeated.
  struct Pointwise {
    cudnnPointwiseMode_t mode;
    cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
    std::optional<std::int64_t> axis = std::nullopt;  // of an index
  };
  void pointwise(const Pointwise& what, const std::vector<Tensor>& inputs, const Tensor& y) {
    constexpr cudnnBackendAttributeName_t kInputs[] = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                                                       CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                                       CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
    Descriptor function(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    function.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, what.mode);
    function.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, what.arithmetic);
    if (what.axis) function.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, *what.axis);
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(function)));
    for (std::size_t i = 0; i < inputs.size(); ++i) set(operation, kInputs[i], inputs[i]);
    set(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    add_operation(std::move(operation));
  }
  /// The same with a result of the extents of x that need not exist in memory.
  Tensor pointwise(const Pointwise& what, const std::vector<Tensor>& inputs,
                   cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    const Tensor y = intermediate(inputs.front().extents, type);
    pointwise(what, inputs, y);
    return y;
  }

  /// Reduces each axis of which y has extent 1.
  Tensor reduce(cudnnReduceTensorOp_t how, const Tensor& x, const Extents& extents) {
    const Tensor y = intermediate(extents);
    Descriptor reduction(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    reduction.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    reduction.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, how);
    Descriptor operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, keep(std::move(reduction)));
    set(operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    set(operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    add_operation(std::move(operation));
    return y;
  }

  /// The same elements by other extents and strides, rounded to `type`.
  Tensor reshape(const Tensor& x, cudnnDataType_t type, const Extents& extents,
                 const Extents& strides) {
    const Tensor y = intermediate(extents, type, strides);
    Descriptor operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    set(operation, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    set(operation, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    add_operation(std::move(operation));
    return y;
  }

  Operations finished() && { return std::move(graph_); }

 private:
  template <class Mark>
  Tensor add(std::int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides,
             const Mark& mark) {
    Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
    tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {extents.begin(), extents.end()});
    tensor.set(CUDNN_ATTR_TENSOR_STRIDES, {strides.begin(), strides.end()});
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
    tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
    mark(tensor);
    return {keep(std::move(tensor)).get(), extents};
  }
  const Descriptor& keep(Descriptor&& part) {
    return graph_.parts.emplace_back(std::move(part).finalized());
  }
  void add_operation(Descriptor&& operation) {
    graph_.operations.push_back(keep(std::move(operation)).get());
  }
  static void set(Descriptor& operation, cudnnBackendAttributeName_t name, const Tensor& tensor) {
    operation.set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, tensor.descriptor);
  }

  Operations graph_;
  std::int64_t next_id_ = 1000;  // beyond those that a caller binds
};

/// What cuDNN says about an engine.
struct Engine {
  std::int64_t index = 0;            // its number among the engines for one kind of operation
  bool tensor_cores = false;         // of float32 inputs: rounds them to TF32
  bool converts_inputs = false;      // to a smaller type
  bool exact_and_repeatable = true;  // float32 sums, no transformation, the same bits in every run
};

enum class TensorCores : std::uint8_t { kForbidden, kAllowed, kRequired };

/// Which engines a plan may use. Only those that are exact and repeatable in any case.
struct EngineRules {
  TensorCores tensor_cores = TensorCores::kAllowed;
  std::optional<std::int64_t> excluded = std::nullopt;  // an engine's index
  std::size_t most_workspace_bytes = std::numeric_limits<std::size_t>::max();
};

/// A way to compute one operation, ready to run any number of times, from any thread.
struct Plan {
  std::vector<Descriptor> parts;  // what the plan refers to
  Descriptor plan;
  std::size_t workspace_bytes = 0;
  Engine engine;
};

namespace internal {

inline Engine engine_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
        "cudnnBackendGetAttribute of an engine");
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  check(cudnnBackendGetAttribute(engine.get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count,
                                 notes.data()),
        "cudnnBackendGetAttribute of an engine's notes");
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes.begin(), notes.begin() + count, note) != notes.begin() + count;
  };
  return {.index = engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX),
          .tensor_cores = has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE),
          .converts_inputs = has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS),
          .exact_and_repeatable = !has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) &&
                                  !has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) &&
                                  !has(CUDNN_NUMERICAL_NOTE_WINOGRAD) &&
                                  !has(CUDNN_NUMERICAL_NOTE_FFT)};
}

inline bool allowed(const Engine& engine, const EngineRules& rules) {
  if (!engine.exact_and_repeatable || engine.index == rules.excluded) return false;
  switch (rules.tensor_cores) {
    case TensorCores::kForbidden:
      return !engine.tensor_cores && !engine.converts_inputs;
    case TensorCores::kRequired:
      return engine.tensor_cores;
    case TensorCores::kAllowed:
      break;
  }
  return true;
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

}  // namespace internal

/// The first proposal that the rules allow and that can be made into a plan; nothing where there is
/// none. Asks heuristic A, then B, which knows engines that A does not, then the fallback list.
inline std::optional<Plan> find_plan(const Target& target, Operations graph_of,
                                     const EngineRules& rules) {
  auto& [parts, operations] = graph_of;
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  target.set_graph(graph);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<std::int64_t>(operations.size()), operations.data());
  parts.push_back(std::move(graph).finalized());
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& configuration : internal::propose(target, parts.back(), mode)) {
      const Engine engine = internal::engine_of(configuration);
      if (!internal::allowed(engine, rules)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      target.set_plan(plan);
      if (plan.try_finalize() != CUDNN_STATUS_SUCCESS) continue;
      const auto bytes =
          static_cast<std::size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
      if (bytes > rules.most_workspace_bytes) continue;
      parts.push_back(std::move(configuration));
      return Plan{std::move(parts), std::move(plan), bytes, engine};
    }
  }
  return std::nullopt;
}

/// The plan of one operation, the last of `parts`; the others are what it refers to. `what` names
/// it in the Error that is thrown where there is no plan.
inline Plan make_plan(const Target& target, std::vector<Descriptor> parts, const EngineRules& rules,
                      const std::string& what) {
  const cudnnBackendDescriptor_t operation = parts.back().get();
  auto plan = find_plan(target, {std::move(parts), {operation}}, rules);
  if (plan) return *std::move(plan);
  throw Error("no engine of cuDNN " + version_text(cudnnGetVersion()) + " computes this", what,
              "use another precision, or another number of channels");
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

/// The same with a workspace of the stream's.
inline void run(cudnnHandle_t handle, const Plan& plan, const std::vector<Binding>& bindings,
                Stream stream) {
  DeviceBuffer<std::byte> workspace(plan.workspace_bytes, stream);
  execute(handle, plan, bindings, workspace.data());
}

/// Plans by what they depend on, each made at first use. For static objects that are never
/// destroyed: at the end of a program cuDNN may be gone before them.
template <class Key, class Value = Plan>
class PlanCache {
 public:
  /// What `make` gave the first time: an optional value. A null pointer where it gave none.
  template <class Make>
  const Value* get(const Key& key, const Make& make) {
    const std::scoped_lock lock(mutex_);
    auto place = plans_.find(key);
    if (place == plans_.end()) place = plans_.emplace(key, make()).first;
    return place->second ? &*place->second : nullptr;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::optional<Value>> plans_;
};

/// This thread's handle for the current device, set to a stream. Never destroyed: at the end of a
/// thread the CUDA runtime may be gone before us.
inline cudnnHandle_t handle_on(Stream stream) {
  static thread_local std::map<int, cudnnHandle_t> handles;
  require_device();
  cudnnHandle_t& handle = handles[backend::cuda::internal::current_device()];
  if (handle == nullptr) {
    require_version(cudnnGetVersion());
    check(cudnnCreate(&handle), "cudnnCreate");
  }
  check(cudnnSetStream(handle, stream.handle), "cudnnSetStream");
  return handle;
}

}  // namespace vid2vox::backend::cuda::cudnn
