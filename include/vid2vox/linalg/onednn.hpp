#pragma once

// Component vid2vox::onednn (option VID2VOX_ONEDNN): needs oneDNN 2.6 or later.

#include <signal.h>  // pthread_sigmask is POSIX, not C++

#include <cstdint>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <type_traits>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/linalg/tile_product.hpp"

namespace VID2VOX::linalg::onednn {

/// A matrix product of fixed shapes and strides that is compiled when first used.
struct MatmulKey {
  Transposed transposed;
  bool to_float32;
  bool accumulate;
  std::int64_t m, n, k, a_stride, b_stride, c_stride;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 reads <=> as a comparison with 0
  auto operator<=>(const MatmulKey&) const = default;
};

struct Matmul {
  dnnl::matmul primitive;
  dnnl::memory a, b, c;
};

inline const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

inline Matmul make_matmul(const MatmulKey& key) {
  using Memory = dnnl::memory;
  const auto half = Memory::data_type::bf16;
  const auto strides = [](bool transposed, std::int64_t stride) {
    return transposed ? Memory::dims{1, stride} : Memory::dims{stride, 1};
  };
  const Memory::desc a({key.m, key.k}, half,
                       strides(key.transposed == Transposed::kLeft, key.a_stride));
  const Memory::desc b({key.k, key.n}, half,
                       strides(key.transposed == Transposed::kRight, key.b_stride));
  const Memory::desc c({key.m, key.n}, key.to_float32 ? Memory::data_type::f32 : half,
                       strides(false, key.c_stride));
  dnnl::primitive_attr attributes;
  if (key.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(cpu_engine(), a, b, c, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes,
                                                 cpu_engine());
#endif
  return {dnnl::matmul(description), Memory(a, cpu_engine(), DNNL_MEMORY_NONE),
          Memory(b, cpu_engine(), DNNL_MEMORY_NONE), Memory(c, cpu_engine(), DNNL_MEMORY_NONE)};
}

/// The calling thread's product: its memory objects point at the operands of one call at a time.
inline Matmul& cached_matmul(const MatmulKey& key) {
  constexpr std::size_t kLargestCache = 4096;
  static thread_local std::map<MatmulKey, Matmul> cache;
  auto found = cache.find(key);
  if (found == cache.end()) {
    if (cache.size() == kLargestCache) cache.clear();
    found = cache.emplace(key, make_matmul(key)).first;
  }
  return found->second;
}

/// Keeps a call of oneDNN in this thread, and signals away from it meanwhile. oneDNN up to 3.11.1
/// points the stack pointer of its float32 product at the heap, which a signal handler on top of it
/// then damages (uxlfoundation/oneDNN#4845); threads that it starts would be without protection.
class SerialCall {
 public:
  SerialCall() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SerialCall(const SerialCall&) = delete;
  SerialCall& operator=(const SerialCall&) = delete;
  ~SerialCall() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  ThreadCountScope one_thread_{1};
  sigset_t before_{};
};

/// The number of terms of every sum.
template <class T>
std::size_t inner_size(Transposed transposed, MatrixView<const T> a) {
  return transposed == Transposed::kLeft ? a.rows : a.cols;
}

template <class Out>
void multiply_bfloat16(Transposed transposed, MatrixView<const bfloat16> a,
                       MatrixView<const bfloat16> b, MatrixView<Out> c, bool accumulate) {
  const SerialCall scope;
  static thread_local dnnl::stream stream(cpu_engine());
  const auto number = [](std::size_t value) { return static_cast<std::int64_t>(value); };
  try {
    Matmul& product = cached_matmul({.transposed = transposed,
                                     .to_float32 = std::is_same_v<Out, float>,
                                     .accumulate = accumulate,
                                     .m = number(c.rows),
                                     .n = number(c.cols),
                                     .k = number(inner_size(transposed, a)),
                                     .a_stride = number(a.stride),
                                     .b_stride = number(b.stride),
                                     .c_stride = number(c.stride)});
    product.a.set_data_handle(const_cast<bfloat16*>(a.data));
    product.b.set_data_handle(const_cast<bfloat16*>(b.data));
    product.c.set_data_handle(c.data);
    product.primitive.execute(
        stream,
        {{DNNL_ARG_SRC, product.a}, {DNNL_ARG_WEIGHTS, product.b}, {DNNL_ARG_DST, product.c}});
    stream.wait();
  } catch (const dnnl::error& error) {
    throw Error(std::string("oneDNN: ") + error.what(),
                "matrix product " + std::to_string(c.rows) + " x " + std::to_string(c.cols),
                "compute without oneDNN, or report this with your oneDNN version");
  }
}

inline void bfloat16_to_float32(Transposed transposed, MatrixView<const bfloat16> a,
                                MatrixView<const bfloat16> b, MatrixView<float> c,
                                bool accumulate) {
  multiply_bfloat16(transposed, a, b, c, accumulate);
}
inline void bfloat16_to_bfloat16(Transposed transposed, MatrixView<const bfloat16> a,
                                 MatrixView<const bfloat16> b, MatrixView<bfloat16> c) {
  multiply_bfloat16(transposed, a, b, c, false);
}

inline void float32_product(Transposed transposed, MatrixView<const float> a,
                            MatrixView<const float> b, MatrixView<float> c, bool accumulate) {
  const auto number = [](std::size_t value) { return static_cast<dnnl_dim_t>(value); };
  const SerialCall scope;
  const dnnl_status_t status =
      dnnl_sgemm(transposed == Transposed::kLeft ? 'T' : 'N',
                 transposed == Transposed::kRight ? 'T' : 'N', number(c.rows), number(c.cols),
                 number(inner_size(transposed, a)), 1.0F, a.data, number(a.stride), b.data,
                 number(b.stride), accumulate ? 1.0F : 0.0F, c.data, number(c.stride));
  if (status != dnnl_success) {
    throw Error("oneDNN refuses a product (status " + std::to_string(status) + ")",
                "matrix product " + std::to_string(c.rows) + " x " + std::to_string(c.cols),
                "compute without oneDNN, or report this with your oneDNN version");
  }
}

}  // namespace VID2VOX::linalg::onednn

namespace VID2VOX::linalg {

/// The engine that computes the products of layers with oneDNN: float32, and bfloat16 where the
/// processor has AMX, or AVX512_BF16 that is faster than float32 (asked at run time).
inline const Engine& onednn_engine() {
  static const Engine engine = [] {
    const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    const auto has = [&](dnnl::cpu_isa needed) {
      return (isa & static_cast<unsigned>(needed)) == static_cast<unsigned>(needed);
    };
    const bool has_bfloat16 = has(dnnl::cpu_isa::avx512_core_amx) ||
                              (has(dnnl::cpu_isa::avx512_core_bf16) && prefers_bfloat16());
    return Engine{
        .name = "onednn",
        .tiles = {.float32 = onednn::float32_product,
                  .bfloat16_to_float32 = has_bfloat16 ? onednn::bfloat16_to_float32 : nullptr,
                  .bfloat16 = has_bfloat16 ? onednn::bfloat16_to_bfloat16 : nullptr}};
  }();
  return engine;
}

}  // namespace VID2VOX::linalg
