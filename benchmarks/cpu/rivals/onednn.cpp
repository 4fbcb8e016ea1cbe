#include "rivals/onednn.hpp"

#include "vid2vox/core/error.hpp"

#ifdef VID2VOX_BENCH_ONEDNN
#include <chrono>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

namespace vid2vox::bench::rivals {
namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

const dnnl::engine& processor() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}
dnnl::stream& stream() {
  static dnnl::stream the_stream(processor());
  return the_stream;
}
/// oneDNN's interface takes pointers to changeable memory also of what it only reads.
memory wrap(const memory::desc& desc, const void* data) {
  return {desc, processor(), const_cast<void*>(data)};
}

std::function<void()> product(std::size_t m, std::size_t k, std::size_t n, Type type, const void* a,
                              const void* b, float* c) {
  const auto dims = [](std::size_t rows, std::size_t cols) {
    return memory::dims{static_cast<memory::dim>(rows), static_cast<memory::dim>(cols)};
  };
  const memory::desc a_desc(dims(m, k), type, Tag::ab);
  const memory::desc b_desc(dims(k, n), type, Tag::ab);
  const memory::desc c_desc(dims(m, n), Type::f32, Tag::ab);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc desc(processor(), a_desc, b_desc, c_desc);
#else
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a_desc, b_desc, c_desc), processor());
#endif
  const dnnl::matmul primitive(desc);
  const std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, wrap(a_desc, a)},
                                                  {DNNL_ARG_WEIGHTS, wrap(b_desc, b)},
                                                  {DNNL_ARG_DST, wrap(c_desc, c)}};
  return [=] {
    primitive.execute(stream(), arguments);
    stream().wait();
  };
}

memory::dims dims_of(std::size_t batch, int channels, const Extent3& grid) {
  return {static_cast<memory::dim>(batch), channels, grid.t, grid.h, grid.w};
}
/// Zeros behind the last element along each axis, of which oneDNN wants to hear too.
Extent3 pad_after(const ops::Conv3dGeometry& g) {
  const auto along = [](int in, int out, int kernel, int stride, int before) {
    return (out - 1) * stride + kernel - before - in;
  };
  return {along(g.in.t, g.out.t, g.kernel.t, g.stride.t, g.pad.t),
          along(g.in.h, g.out.h, g.kernel.h, g.stride.h, g.pad.h),
          along(g.in.w, g.out.w, g.kernel.w, g.stride.w, g.pad.w)};
}
memory::dims triple(const Extent3& e) { return {e.t, e.h, e.w}; }

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {processor(), dnnl::prop_kind::forward_inference, arguments...};
#else
  return {typename Primitive::desc(dnnl::prop_kind::forward_inference, arguments...), processor()};
#endif
}

/// The memory objects of one way to do a convolution.
struct Plan {
  std::function<void()> run;
  std::function<void()> finish;
  double seconds = 0;
};

template <class Primitive>
Plan make_plan(const ops::Conv3dGeometry& g, dnnl::algorithm algorithm, bool transposed,
               Tag activations, const float* x, const float* weights, const float* bias, float* y) {
  const auto x_dims =
      transposed ? dims_of(g.batch, g.out_channels, g.out) : dims_of(g.batch, g.in_channels, g.in);
  const auto y_dims =
      transposed ? dims_of(g.batch, g.in_channels, g.in) : dims_of(g.batch, g.out_channels, g.out);
  const memory::dim c_x = x_dims[1];
  const memory::dim c_y = y_dims[1];
  const memory::dims w_dims{c_y, c_x, g.kernel.t, g.kernel.h, g.kernel.w};
  // Ours: [kt, kh, kw, in_channels, out_channels] of the convolution, also of a transposed one.
  const memory::dim tap = c_x * c_y;
  const memory::dims w_strides{transposed ? c_x : 1, transposed ? 1 : c_y,
                               g.kernel.h * g.kernel.w * tap, g.kernel.w * tap, tap};
  const memory::desc bias_desc({c_y}, Type::f32, Tag::a);
  const auto desc = describe<Primitive>(algorithm, memory::desc(x_dims, Type::f32, activations),
                                        memory::desc(w_dims, Type::f32, Tag::any), bias_desc,
                                        memory::desc(y_dims, Type::f32, activations),
                                        triple(g.stride), triple(g.pad), triple(pad_after(g)));
  const auto reordered = [](const memory::desc& from_desc, const float* from,
                            const memory::desc& to_desc) {
    memory source = wrap(from_desc, from);
    memory target(to_desc, processor());
    dnnl::reorder(source, target).execute(stream(), source, target);
    stream().wait();
    return target;
  };
  const memory result(desc.dst_desc(), processor());
  const std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, reordered(memory::desc(x_dims, Type::f32, Tag::ndhwc), x, desc.src_desc())},
      {DNNL_ARG_WEIGHTS,
       reordered(memory::desc(w_dims, Type::f32, w_strides), weights, desc.weights_desc())},
      {DNNL_ARG_BIAS, wrap(bias_desc, bias)},
      {DNNL_ARG_DST, result}};
  const Primitive primitive(desc);
  const memory answer = wrap(memory::desc(y_dims, Type::f32, Tag::ndhwc), y);
  return {[=] {
            primitive.execute(stream(), arguments);
            stream().wait();
          },
          [=] {
            memory source = result;
            memory target = answer;
            dnnl::reorder(source, target).execute(stream(), source, target);
            stream().wait();
          }};
}

double seconds_of(const std::function<void()>& run) {
  run();
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string onednn_version() {
  const auto* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

std::function<void()> onednn_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                     const float* b, float* c) {
  return product(m, k, n, Type::f32, a, b, c);
}
std::function<void()> onednn_product(std::size_t m, std::size_t k, std::size_t n, const bfloat16* a,
                                     const bfloat16* b, float* c) {
  return product(m, k, n, Type::bf16, a, b, c);
}

Convolution onednn_convolution(const ops::Conv3dGeometry& g, bool transposed, const float* x,
                               const float* weights, const float* bias, float* y) {
  Plan best;
  for (const Tag activations : {Tag::ndhwc, Tag::any}) {
    Plan plan =
        transposed
            ? make_plan<dnnl::deconvolution_forward>(g, dnnl::algorithm::deconvolution_direct, true,
                                                     activations, x, weights, bias, y)
            : make_plan<dnnl::convolution_forward>(g, dnnl::algorithm::convolution_direct, false,
                                                   activations, x, weights, bias, y);
    plan.seconds = seconds_of(plan.run);
    if (!best.run || plan.seconds < best.seconds) best = plan;
  }
  return {best.run, best.finish};
}

}  // namespace vid2vox::bench::rivals

#else

namespace vid2vox::bench::rivals {
namespace {
[[noreturn]] void absent() {
  throw Error("not here", "oneDNN", "install libdnnl-dev and configure again");
}
}  // namespace

std::string onednn_version() { return "not here"; }
std::function<void()> onednn_product(std::size_t, std::size_t, std::size_t, const float*,
                                     const float*, float*) {
  absent();
}
std::function<void()> onednn_product(std::size_t, std::size_t, std::size_t, const bfloat16*,
                                     const bfloat16*, float*) {
  absent();
}
Convolution onednn_convolution(const ops::Conv3dGeometry&, bool, const float*, const float*,
                               const float*, float*) {
  absent();
}

}  // namespace vid2vox::bench::rivals

#endif
