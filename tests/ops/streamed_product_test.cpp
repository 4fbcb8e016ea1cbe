#include "vid2vox/backend/cpu/streamed_product.hpp"

#include "ops/naive_product.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::normal;

using Product = ops::StreamedProduct<cpu>;

/// c [m, n] = a [m, k] b [k, n] (+ bias) (+ c); `margin`: columns of a, b and c that belong to
/// nobody.
struct Case {
  std::size_t m;
  std::size_t n;
  std::size_t k;
  std::size_t margin = 0;
  bool bias = false;
  bool accumulate = false;
};

template <class T, class Out>
struct Operands {
  Case c;
  Buffer<T> a = normal<T, Buffer>(c.m * (c.k + c.margin), "a");
  Buffer<T> b = normal<T, Buffer>(c.k * (c.n + c.margin), "b");
  Buffer<AccumulateOf<T>> bias = normal<AccumulateOf<T>, Buffer>(c.n, "bias");
  Buffer<Out> before = normal<Out, Buffer>(c.m * (c.n + c.margin), "c");

  Buffer<Out> ours() const {
    Buffer<Out> result = before;
    Buffer<T> arranged(c.k * c.n);
    Product::arrange<T>({b.data(), c.k, c.n, c.n + c.margin}, arranged.data());
    const MatrixView<const T> left(a.data(), c.m, c.k, c.k + c.margin);
    const MatrixView<const T> right(arranged.data(), c.k, c.n);
    const MatrixView<Out> target(result.data(), c.m, c.n, c.n + c.margin);
    if (c.bias) {
      Product::nn_add_rows<T, Out>(left, right, bias.data(), target);
    } else {
      Product::nn<T, Out>(left, right, target, c.accumulate);
    }
    return result;
  }
  /// By the definition, in Number.
  template <class Number>
  Buffer<Number> naive() const {
    Buffer<Number> start = as<Number>(before);
    for (std::size_t i = 0; i < c.m * c.n && c.bias; ++i) {
      Number& value = start[i / c.n * (c.n + c.margin) + i % c.n];
      value = (c.accumulate ? value : Number(0)) + static_cast<Number>(bias[i % c.n]);
    }
    return testing::naive_product<Number>(
        Transposed::kNone, {c.m, c.n, c.k, c.accumulate || c.bias}, as<Number>(a), c.k + c.margin,
        as<Number>(b), c.n + c.margin, start, c.n + c.margin);
  }
};

template <class T, class Out>
void check(const Case& c) {
  INFO("m " << c.m << ", n " << c.n << ", k " << c.k << ", margin " << c.margin);
  const Operands<T, Out> operands{c};
  // The margins between the rows are compared too: nothing may write there.
  check_accuracy(operands.ours(), as<Out>(operands.template naive<AccumulateOf<T>>()),
                 as<double>(operands.template naive<testing::Exact<T>>()));
}

TEMPLATE_TEST_CASE("streamed products of all sizes", "", float, double, bfloat16, float16) {
  using T = TestType;
  const Case cases[] = {{.m = 1, .n = 1, .k = 1},
                        {.m = 1, .n = 64, .k = 300},
                        {.m = 2, .n = 33, .k = 7, .margin = 3},
                        {.m = 3, .n = 31, .k = 65, .margin = 1, .accumulate = true},
                        {.m = 4, .n = 96, .k = 130, .bias = true},
                        {.m = 5, .n = 100, .k = 9, .margin = 2, .bias = true},
                        // Rows in several blocks, and enough of b for several threads.
                        {.m = 13, .n = 700, .k = 301, .margin = 5},
                        {.m = 8, .n = 90, .k = 2050, .accumulate = true}};
  for (const Case& c : cases) {
    check<T, T>(c);
    if (!std::is_same_v<T, AccumulateOf<T>>) check<T, AccumulateOf<T>>(c);
  }
}

TEST_CASE("without accumulation, what stood in the streamed product's result does not matter") {
  Operands<float, float> operands{{.m = 3, .n = 40, .k = 5}};
  operands.before = testing::poisoned<float>(operands.before.size());
  const auto result = operands.ours();
  CHECK(std::none_of(result.begin(), result.end(), [](float value) { return std::isnan(value); }));
}

TEST_CASE("a streamed product has the same bits with one thread and with several") {
  const Operands<float, float> operands{{.m = 3, .n = 700, .k = 301}};
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return operands.ours();
  };
  const auto alone = run(1);
  const auto together = run(3);
  CHECK(testing::same_bits(alone, together));
}

TEST_CASE("a row has the same bits whatever rows stand beside it") {
  const Operands<float, float> all{{.m = 7, .n = 70, .k = 301}};
  const auto together = all.ours();
  for (std::size_t row = 0; row < all.c.m; ++row) {
    Operands<float, float> one{{.m = 1, .n = all.c.n, .k = all.c.k}};
    std::copy_n(all.a.data() + row * all.c.k, all.c.k, one.a.data());
    const auto alone = one.ours();
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + row * all.c.n));
  }
}

}  // namespace
}  // namespace vid2vox
