// What the device can do at most: a large copy, and a large product in each precision. The report
// gives the other benchmarks as shares of these.
#include "bench.hpp"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"

namespace vid2vox::bench {
namespace {

/// Buffers of 1 GiB: many times every second-level cache.
struct CopyCase : Case {
  static constexpr std::size_t kBytes = std::size_t{1} << 30U;
  DeviceBuffer<float> from = normal_on_device<float>(kBytes / sizeof(float), "copy");
  DeviceBuffer<float> to{kBytes / sizeof(float)};
};

void copy(benchmark::State& state) {
  auto& data = use_case<CopyCase>("copy", [] { return std::make_unique<CopyCase>(); });
  time(state, {.bytes = 2.0 * CopyCase::kBytes},
       [&] { backend::cuda::copy_on_device(data.to.data(), data.from.data(), CopyCase::kBytes); });
}

template <class P>
struct ProductCase : Case {
  static constexpr std::size_t kSize = 8192;
  using T = typename P::storage;
  DeviceBuffer<T> a = normal_on_device<T>(kSize * kSize, "ceiling a");
  DeviceBuffer<T> b = normal_on_device<T>(kSize * kSize, "ceiling b");
  DeviceBuffer<T> c{kSize * kSize};
};

template <class P>
void product(benchmark::State& state) {
  using Data = ProductCase<P>;
  using T = typename P::storage;
  auto& data =
      use_case<Data>("product " + std::string(P::kName), [] { return std::make_unique<Data>(); });
  constexpr std::size_t kSize = Data::kSize;
  const PrecisionScope<P> scope;
  const double size = kSize;
  time(state, {.flops = 2 * size * size * size}, [&] {
    ops::MatrixProduct<cuda>::nn(MatrixView<const T>(data.a.data(), kSize, kSize),
                                 MatrixView<const T>(data.b.data(), kSize, kSize),
                                 MatrixView<T>(data.c.data(), kSize, kSize), false);
  });
}

}  // namespace

void register_benchmarks() {
  add("ceiling_copy/bytes/1GiB/ours", copy);
  for_precisions([](auto precision) {
    using P = decltype(precision);
    add(name_of<P>("ceiling_product", "8192") + "ours", product<P>);
  });
}

}  // namespace vid2vox::bench
