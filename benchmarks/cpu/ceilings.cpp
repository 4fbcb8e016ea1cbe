// What the machine does at most: streams of memory, and matrix products in the shapes of the
// models. Ours beside Eigen, oneDNN and OpenBLAS, after a check that all give the same answer. The
// report takes the fastest product of each precision as ceiling.
#include <cstring>

#include "bench.hpp"
#include "rivals/eigen.hpp"
#include "rivals/onednn.hpp"
#include "rivals/openblas.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/streamed_product.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox::bench {
namespace {

struct StreamCase : Case {
  static constexpr std::size_t kBytes = std::size_t{1} << 30;
  static constexpr std::size_t kPiece = std::size_t{1} << 20;  // words
  StreamCase() : from(kBytes / sizeof(std::uint64_t), 1), to(from.size()), sums(from.size()) {}

  void copy() {
    parallel_ranges(from.size(), kPiece, [&](std::size_t begin, std::size_t end) {
      std::memcpy(to.data() + begin, from.data() + begin, (end - begin) * sizeof(std::uint64_t));
    });
  }
  void read() {
    parallel_ranges(from.size(), kPiece, [&](std::size_t begin, std::size_t end) {
      std::uint64_t sum = 0;
      for (std::size_t i = begin; i < end; ++i) sum += from[i];
      sums[begin / kPiece] = sum;
    });
    benchmark::DoNotOptimize(sums.data());
  }

  Buffer<std::uint64_t> from, to, sums;
};

void add_stream(const std::string& operation, double bytes, void (StreamCase::*run)()) {
  add(operation + "/bytes/1GiB/" + ours(), [=](benchmark::State& state) {
    auto& data = use_case<StreamCase>("stream", [] { return std::make_unique<StreamCase>(); });
    time(state, data, operation, {.bytes = bytes}, [&] { (data.*run)(); });
  });
}

/// c [m, n] = a [m, k] b [k, n].
template <class P>
struct ProductCase : Case {
  using T = typename P::storage;
  ProductCase(std::size_t rows, std::size_t terms, std::size_t cols)
      : m(rows),
        k(terms),
        n(cols),
        a(normal_buffer<T>(m * k, "product a")),
        b(normal_buffer<T>(k * n, "product b")),
        c(m * n) {}
  void ours() {
    ops::MatrixProduct<cpu>::nn<T, float>({a.data(), m, k}, {b.data(), k, n}, {c.data(), m, n},
                                          false);
  }
  /// As decoding multiplies: by weights that were arranged before.
  void arrange() {
    arranged = Buffer<T>(k * n);
    ops::StreamedProduct<cpu>::arrange<T>({b.data(), k, n}, arranged.data());
  }
  void ours_streamed() {
    ops::StreamedProduct<cpu>::nn<T, float>({a.data(), m, k}, {arranged.data(), k, n},
                                            {c.data(), m, n}, false);
  }
  void check(const std::string& who, const std::function<void()>& run) {
    ours();
    const std::vector<float> reference = to_floats(c);
    c.fill(NAN);
    run();
    require_agreement(to_floats(c), reference, kTolerance<P>, "product by " + who);
  }

  std::size_t m, k, n;
  Buffer<T> a, b, arranged;
  Buffer<float> c;
};

struct ProductShape {
  std::size_t m, k, n;
  bool streamed = false;
};

template <class P>
void add_products(const ProductShape& s) {
  using Data = ProductCase<P>;
  const std::string operation = s.streamed ? "streamed_product" : "product";
  const std::string shape =
      std::to_string(s.m) + "x" + std::to_string(s.k) + "x" + std::to_string(s.n);
  // What a rival needs besides the data is made before it is timed.
  using Prepare = std::function<std::function<void()>(Data&)>;
  const auto add_one = [&](const std::string& who, const Prepare& prepare) {
    add(name_of<P>(operation, shape) + who, [=](benchmark::State& state) {
      auto& data = use_case<Data>(name_of<P>(operation, shape),
                                  [&] { return std::make_unique<Data>(s.m, s.k, s.n); });
      const std::function<void()> run = prepare(data);
      if (who != ours() && data.first_time("check of " + who)) data.check(who, run);
      const Work work{.flops = 2.0 * static_cast<double>(s.m * s.k * s.n)};
      time(state, data, who, work, run);
    });
  };
  add_one(ours(), [=](Data& data) -> std::function<void()> {
    if (!s.streamed) return [&data] { data.ours(); };
    data.arrange();
    return [&data] { data.ours_streamed(); };
  });
  if (!times_rivals()) return;
  add_one("onednn", [](Data& data) {
    return rivals::onednn_product(data.m, data.k, data.n, data.a.data(), data.b.data(),
                                  data.c.data());
  });
  if constexpr (std::is_same_v<P, fp32>) {
    add_one("eigen", [](Data& data) {
      return rivals::eigen_product(data.m, data.k, data.n, data.a.data(), data.b.data(),
                                   data.c.data());
    });
    add_one("openblas", [](Data& data) {
      return rivals::openblas_product(data.m, data.k, data.n, data.a.data(), data.b.data(),
                                      data.c.data());
    });
  }
}

}  // namespace

void register_ceilings() {
  add_stream("stream_copy", 2.0 * StreamCase::kBytes, &StreamCase::copy);
  add_stream("stream_read", 1.0 * StreamCase::kBytes, &StreamCase::read);
  // A square, the wide layer of four clips in the GPT, and that of four tokens in decoding.
  for (const ProductShape& shape : {ProductShape{2048, 2048, 2048}, ProductShape{1024, 576, 2304},
                                    ProductShape{4, 576, 2304, true}}) {
    for_precisions([&](auto precision) { add_products<decltype(precision)>(shape); });
  }
}

}  // namespace vid2vox::bench
