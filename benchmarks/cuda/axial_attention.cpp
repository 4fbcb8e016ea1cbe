// The core of axial attention at the study's grids: ours, the same by products of cuBLAS with
// permuted copies, and cuDNN's attention on strided heads.
#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"

#include "bench.hpp"
#include "rivals/axial_attention.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"

namespace vid2vox::bench {
namespace {

using ops::AxialAttentionGeometry;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kChannels = 240;
constexpr std::size_t kHeads = 2;

AxialAttentionGeometry geometry(Extent3 grid, std::size_t batch = kBatch) {
  return {.batch = batch, .grid = grid, .channels = kChannels, .heads = kHeads};
}

std::string shape_text(Extent3 grid) {
  return std::to_string(kBatch) + "x" + std::to_string(grid.t) + "x" + std::to_string(grid.h) +
         "x" + std::to_string(grid.w) + "x" + std::to_string(kChannels);
}

template <class P>
struct AxialCase : Case {
  using T = typename P::storage;
  explicit AxialCase(Extent3 grid)
      : g(geometry(grid)),
        tokens(kBatch * grid.volume()),
        qkv(normal_on_device<T>(tokens * 9 * kChannels, "axial qkv")),
        d_o(normal_on_device<T>(tokens * 3 * kChannels, "axial d_o")),
        o(tokens * 3 * kChannels),
        d_qkv(tokens * 9 * kChannels) {
    // The reference: the CPU backend on the first clip, whose sequences are its own.
    const auto one = geometry(grid, 1);
    const auto qkv_clip = to_floats(qkv, grid.volume() * 9 * kChannels);
    const auto d_o_clip = to_floats(d_o, grid.volume() * 3 * kChannels);
    reference_o.resize(d_o_clip.size());
    reference_d_qkv.resize(qkv_clip.size());
    ops::AxialAttention<cpu>::forward(one, qkv_clip.data(), reference_o.data());
    ops::AxialAttention<cpu>::backward(one, qkv_clip.data(), d_o_clip.data(),
                                       reference_d_qkv.data());
  }

  template <class Forward>
  void check_forward(const Forward& forward) {
    o = poisoned<T>(o.size());
    forward();
    require_agreement(to_floats(o, reference_o.size()), reference_o, kTolerance<P>,
                      "axial attention, forward");
  }
  template <class Backward>
  void check_backward(const Backward& backward) {
    d_qkv = poisoned<T>(d_qkv.size());
    backward();
    require_agreement(to_floats(d_qkv, reference_d_qkv.size()), reference_d_qkv, kTolerance<P>,
                      "axial attention, backward");
  }

  AxialAttentionGeometry g;
  std::size_t tokens;
  DeviceBuffer<T> qkv;
  DeviceBuffer<T> d_o;
  DeviceBuffer<T> o;
  DeviceBuffer<T> d_qkv;
  std::vector<float> reference_o;
  std::vector<float> reference_d_qkv;
};

template <class P>
AxialCase<P>& use(Extent3 grid) {
  return use_case<AxialCase<P>>(name_of<P>("axial", shape_text(grid)),
                                [&] { return std::make_unique<AxialCase<P>>(grid); });
}

/// Forward reads q, k, v and writes the outputs: 9 + 3 numbers a channel; backward reads q, k, v
/// and the outputs' gradients and writes theirs: 9 + 3 + 9. Two products forward, five backward.
template <class P>
Work work_of(Extent3 grid, bool backward) {
  const double tokens = static_cast<double>(kBatch * grid.volume());
  const double numbers = tokens * static_cast<double>(kChannels) * (backward ? 21 : 12);
  const double products = backward ? 5 : 2;
  return {
      .bytes = numbers * sizeof(typename P::storage),
      .flops = products * 2 * tokens * static_cast<double>(kChannels) * (grid.t + grid.h + grid.w)};
}

template <class P>
void add_ours(Extent3 grid) {
  add(name_of<P>("axial_forward", shape_text(grid)) + "ours", [grid](benchmark::State& state) {
    auto& data = use<P>(grid);
    const auto run = [&] {
      ops::AxialAttention<cuda>::forward(data.g, std::as_const(data.qkv).data(), data.o.data());
    };
    data.check_forward(run);
    time(state, work_of<P>(grid, false), run);
  });
  add(name_of<P>("axial_backward", shape_text(grid)) + "ours", [grid](benchmark::State& state) {
    auto& data = use<P>(grid);
    const auto run = [&] {
      ops::AxialAttention<cuda>::backward(data.g, std::as_const(data.qkv).data(),
                                          std::as_const(data.d_o).data(), data.d_qkv.data());
    };
    data.check_backward(run);
    time(state, work_of<P>(grid, true), run);
  });
}

template <class P>
void add_rivals(Extent3 grid) {
  using T = typename P::storage;
  add(name_of<P>("axial_forward", shape_text(grid)) + "cublas_and_copies",
      [grid](benchmark::State& state) {
        auto& data = use<P>(grid);
        AxialByProducts rival(data.g, number_type_of<T>);
        const auto run = [&] { rival.forward(data.qkv.data(), data.o.data()); };
        data.check_forward(run);
        time(state, work_of<P>(grid, false), run);
      });
  if constexpr (sizeof(T) == sizeof(bfloat16)) {
    add(name_of<P>("axial_forward", shape_text(grid)) + "cudnn_strided",
        [grid](benchmark::State& state) {
          auto& data = use<P>(grid);
          AxialByCudnn rival(data.g, number_type_of<T>);
          const auto run = [&] { rival.forward(data.qkv.data(), data.o.data()); };
          data.check_forward(run);
          time(state, work_of<P>(grid, false), run);
        });
  }
}

}  // namespace

void register_benchmarks() {
  for (const Extent3 grid : {Extent3{4, 8, 8}, Extent3{4, 16, 16}}) {
    for_storage_types([&](auto precision) {
      add_ours<decltype(precision)>(grid);
      add_rivals<decltype(precision)>(grid);
    });
  }
}

}  // namespace vid2vox::bench
