#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/ops/attention.hpp"
#include "vid2vox/ops/input_precision.hpp"

namespace vid2vox::backend::cuda {

/// Who computes full attention.
enum class AttentionEngine : std::uint8_t {
  kChoose,    // cuDNN where it may (attention_cudnn.hpp) and has a plan here, else kProducts
  kProducts,  // batched products of cuBLASLt, with our softmax between them
  kCudnn,     // cuDNN; an Error where it cannot
};

inline namespace VID2VOX_ISA {

namespace internal {
inline thread_local AttentionEngine attention_engine = AttentionEngine::kChoose;
}  // namespace internal

/// Makes this thread's attention use one engine while the object lives: for tests and benchmarks,
/// which compare them.
class AttentionEngineScope {
 public:
  explicit AttentionEngineScope(AttentionEngine engine) : before_(internal::attention_engine) {
    internal::attention_engine = engine;
  }
  AttentionEngineScope(const AttentionEngineScope&) = delete;
  AttentionEngineScope& operator=(const AttentionEngineScope&) = delete;
  ~AttentionEngineScope() { internal::attention_engine = before_; }

 private:
  AttentionEngine before_;
};

}  // namespace VID2VOX_ISA

/// In 16 bits cuDNN's widths of heads are multiples of this.
inline constexpr std::size_t kAttentionWidthStep = 8;

/// One matrix of an attention problem: row r of batch element b and head h begins at
/// data + (b * batch_stride + r * row_stride + h * width) elements.
struct AttentionRows {
  std::int64_t batch_stride = 0;
  std::int64_t row_stride = 0;
  int rows = 0;
  int width = 0;
};

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
  NumberType number_type = NumberType::kFloat32;
  AttentionRows queries;  // of q, d_q
  AttentionRows keys;     // of k, d_k
  AttentionRows values;   // of v, d_v
  AttentionRows outputs;  // of o, d_o
  std::int64_t batch = 1;
  int heads = 1;
  bool causal = false;
  bool tf32 = false;  // float32 only: inputs of the products are rounded to TF32
  // Of the scores: scale + scale_rest, so that the softmax's temperature has no rounding of its
  // own.
  float scale = 1;
  float scale_rest = 0;
  // Dropout of the weights: an element is dropped when its random word is below the threshold.
  bool dropout = false;
  std::uint32_t drop_threshold = 0;
  float kept_scale = 1;  // of the weights that are kept: 1 / (1 - probability)
  RandomKey key;
  AttentionEngine engine = AttentionEngine::kChoose;
  // Of batched products: scores that are in memory at a time, but at least those of one head of one
  // batch element. The default fills a device with work; all scores of a batch grow with the square
  // of the tokens.
  std::int64_t most_scores = std::int64_t{1} << 26U;
};

/// o = dropout(softmax(scale q k')) v.
void launch_attention_forward(const AttentionParams& params, Stream stream);
/// d_q, d_k, d_v.
void launch_attention_backward(const AttentionParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// Parameters of a geometry without pointers. Throws an Error for what makes no sense.
inline AttentionParams attention_params(const ops::AttentionGeometry& g, NumberType type) {
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
  params.tf32 = ops::input_precision() == ops::InputPrecision::kTf32;
  params.scale = static_cast<float>(g.scale);
  params.scale_rest = static_cast<float>(g.scale - static_cast<double>(params.scale));
  params.dropout = g.dropout > 0;
  params.drop_threshold = dropout_threshold(g.dropout);
  params.kept_scale = static_cast<float>(1.0 / (1.0 - g.dropout));
  params.key = g.dropout_key;
  params.engine = internal::attention_engine;
  return params;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// By cuDNN in 16 bits where weights are not dropped and its limits allow, else by batched products
/// with our softmax between them: see AttentionEngine. float is true float32 unless the thread's
/// input_precision() asks for TF32. In 16 bits scores and softmax are float32, and weights are
/// rounded for the second product. Results do not change from run to run on one kind of device.
/// Dropout masks are those of the CPU backend.
template <>
struct Attention<cuda> {
  template <class T>
  static constexpr std::size_t kWidthStep = sizeof(T) == sizeof(bfloat16)
                                                ? backend::cuda::kAttentionWidthStep
                                                : 1;

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

}  // namespace VID2VOX::ops
