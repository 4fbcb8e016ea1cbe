#pragma once

#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>

#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/attention.hpp"

namespace vid2vox::backend::cuda {

/// Widest head that the kernels hold in registers.
inline constexpr std::size_t kLargestAttentionHead = 144;

/// Who computes full attention.
enum class AttentionEngine : std::uint8_t {
  kChoose,  // cuDNN where it may (attention_cudnn.hpp) and has a plan on this device, else kOwn
  kOwn,     // our kernels
  kCudnn,   // cuDNN; an Error where it cannot
};

namespace detail {
inline thread_local AttentionEngine attention_engine = AttentionEngine::kChoose;
}  // namespace detail

/// Makes this thread's attention use one engine while the object lives: for tests and benchmarks,
/// which compare them.
class AttentionEngineScope {
 public:
  explicit AttentionEngineScope(AttentionEngine engine) : before_(detail::attention_engine) {
    detail::attention_engine = engine;
  }
  AttentionEngineScope(const AttentionEngineScope&) = delete;
  AttentionEngineScope& operator=(const AttentionEngineScope&) = delete;
  ~AttentionEngineScope() { detail::attention_engine = before_; }

 private:
  AttentionEngine before_;
};

/// One matrix of an attention problem: row r of batch element b and head h begins at
/// data + (b * batch_stride + r * row_stride + h * width) elements.
struct AttentionRows {
  std::int64_t batch_stride = 0;
  std::int64_t row_stride = 0;
  int rows = 0;
  int width = 0;
  int access_bytes = 0;  // widest access to which every row is aligned: 16, 8 or one element
};

/// Numbers that the backward pass keeps of each row of the softmax: its largest score, the inverse
/// of its sum, and sum(weight * gradient of the weight).
inline constexpr int kAttentionStatistics = 3;

/// Full attention (see ops::AttentionGeometry). Pointers are to `number_type` on the device.
struct AttentionParams {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* o = nullptr;          // forward only
  const void* d_o = nullptr;  // backward only, these four
  void* d_q = nullptr;
  void* d_k = nullptr;
  void* d_v = nullptr;
  float* statistics = nullptr;  // backward only: [batch, heads, kAttentionStatistics, queries]
  NumberType number_type = NumberType::kFloat32;
  AttentionRows queries;  // of q, d_q
  AttentionRows keys;     // of k, d_k
  AttentionRows values;   // of v, d_v
  AttentionRows outputs;  // of o, d_o
  std::int64_t batch = 1;
  int heads = 1;
  bool causal = false;
  // Of the scores: scale + scale_rest in float32, so that the temperature of float32's softmax has
  // no rounding of its own; in 16 bits scale_log2 = scale / ln 2.
  float scale = 1;
  float scale_rest = 0;
  float scale_log2 = 1;
  // Dropout of the weights: an element is dropped when its random word is below the threshold.
  bool dropout = false;
  std::uint32_t drop_threshold = 0;
  float kept_scale = 1;  // of the weights that are kept: 1 / (1 - probability)
  RandomKey key;
  AttentionEngine engine = AttentionEngine::kChoose;
};

/// o = dropout(softmax(scale q k')) v.
void launch_attention_forward(const AttentionParams& params, Stream stream);
/// d_q, d_k, d_v; writes `statistics`.
void launch_attention_backward(const AttentionParams& params, Stream stream);

/// Parameters of a geometry without pointers. Throws an Error for what the kernels cannot do.
inline AttentionParams attention_params(const ops::AttentionGeometry& g, NumberType type) {
  constexpr double kTwoTo32 = 4294967296.0;
  if (g.d_k > kLargestAttentionHead || g.d_v > kLargestAttentionHead) {
    throw Error("head widths " + std::to_string(g.d_k) + " (keys) and " + std::to_string(g.d_v) +
                    " (values) exceed " + std::to_string(kLargestAttentionHead),
                "attention on the GPU", "use more heads or fewer channels");
  }
  if (g.causal && g.queries != g.keys) {
    throw Error("causal attention needs as many queries as keys, got " + std::to_string(g.queries) +
                    " and " + std::to_string(g.keys),
                "attention on the GPU", "pass the keys up to the query and causal = false");
  }
  if (g.keys == 0) {
    throw Error("there are no keys to attend to", "attention on the GPU", "pass at least one key");
  }
  const auto rows = [](std::size_t count, std::size_t between, std::size_t width,
                       std::size_t stride) {
    return AttentionRows{.batch_stride = static_cast<std::int64_t>(between * stride),
                         .row_stride = static_cast<std::int64_t>(stride),
                         .rows = static_cast<int>(count),
                         .width = static_cast<int>(width)};
  };
  AttentionParams params;
  params.number_type = type;
  params.queries = rows(g.queries, g.queries, g.d_k, g.q_stride);
  params.keys = rows(g.keys, g.key_rows, g.d_k, g.k_stride);
  params.values = rows(g.keys, g.key_rows, g.d_v, g.v_stride);
  params.outputs = rows(g.queries, g.queries, g.d_v, g.o_stride);
  params.batch = static_cast<std::int64_t>(g.batch);
  params.heads = static_cast<int>(g.heads);
  params.causal = g.causal;
  params.scale = static_cast<float>(g.scale);
  params.scale_rest = static_cast<float>(g.scale - static_cast<double>(params.scale));
  params.scale_log2 = static_cast<float>(g.scale * std::numbers::log2e);
  params.dropout = g.dropout > 0;
  params.drop_threshold = static_cast<std::uint32_t>(g.dropout * kTwoTo32);
  params.kept_scale = static_cast<float>(1.0 / (1.0 - g.dropout));
  params.key = g.dropout_key;
  params.engine = detail::attention_engine;
  return params;
}

}  // namespace vid2vox::backend::cuda

namespace vid2vox::ops {

/// float: exact float32 arithmetic. bfloat16, float16: tensor-core products with float32 sums and a
/// float32 softmax; weights are rounded to 16 bits for the second product. Results do not depend
/// on the order in which the device runs the blocks. Dropout masks are those of the CPU backend.
/// By our kernels, or by cuDNN where weights are not dropped: see AttentionEngine.
template <>
struct Attention<cuda> {
  template <class T>
  static void forward(const AttentionGeometry& g, const T* q, const T* k, const T* v, T* o) {
    namespace device = backend::cuda;
    auto params = device::attention_params(g, number_type_of<T>);
    params.q = q;
    params.k = k;
    params.v = v;
    params.o = o;
    device::launch_attention_forward(params, device::current_stream());
  }

  template <class T>
  static void backward(const AttentionGeometry& g, const T* q, const T* k, const T* v, const T* d_o,
                       T* d_q, T* d_k, T* d_v) {
    namespace device = backend::cuda;
    auto params = device::attention_params(g, number_type_of<T>);
    device::DeviceBuffer<float> statistics(g.batch * g.heads * g.queries *
                                           device::kAttentionStatistics);
    params.statistics = statistics.data();
    params.q = q;
    params.k = k;
    params.v = v;
    params.d_o = d_o;
    params.d_q = d_q;
    params.d_k = d_k;
    params.d_v = d_v;
    device::launch_attention_backward(params, device::current_stream());
  }
};

}  // namespace vid2vox::ops
