#include "vid2vox/backend/cpu/matrix_product.hpp"

#include "ops/naive_product.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::normal;

using Product = ops::MatrixProduct<cpu>;

struct Case {
  std::size_t m;
  std::size_t n;
  std::size_t k;
  std::size_t margin;  // columns of the buffers that belong to nobody
  bool accumulate;
};

testing::ProductSize size_of(const Case& c) { return {c.m, c.n, c.k, c.accumulate}; }

template <class T, class Out>
Buffer<Out> ours(Transposed form, const Case& c, const Buffer<T>& a, std::size_t lda,
                 const Buffer<T>& b, std::size_t ldb, const Buffer<Out>& before, std::size_t ldc) {
  Buffer<Out> result = before;
  const MatrixView<const T> left(a.data(), form == Transposed::kLeft ? c.k : c.m,
                                 form == Transposed::kLeft ? c.m : c.k, lda);
  const MatrixView<const T> right(b.data(), form == Transposed::kRight ? c.n : c.k,
                                  form == Transposed::kRight ? c.k : c.n, ldb);
  const MatrixView<Out> target(result.data(), c.m, c.n, ldc);
  if (form == Transposed::kNone) Product::nn<T, Out>(left, right, target, c.accumulate);
  if (form == Transposed::kRight) Product::nt<T, Out>(left, right, target, c.accumulate);
  if (form == Transposed::kLeft) Product::tn<T, Out>(left, right, target, c.accumulate);
  return result;
}

template <class T, class Out>
void check(Transposed form, const Case& c) {
  using A = AccumulateOf<T>;
  const std::size_t lda = (form == Transposed::kLeft ? c.m : c.k) + c.margin;
  const std::size_t ldb = (form == Transposed::kRight ? c.k : c.n) + c.margin;
  const std::size_t ldc = c.n + c.margin;
  const auto a = normal<T, Buffer>((form == Transposed::kLeft ? c.k : c.m) * lda, "a");
  const auto b = normal<T, Buffer>((form == Transposed::kRight ? c.n : c.k) * ldb, "b");
  const auto before = normal<Out, Buffer>(c.m * ldc, "c");
  const auto reference = [&]<class Number>(Number) {
    return testing::naive_product<Number>(form, size_of(c), as<Number>(a), lda, as<Number>(b), ldb,
                                          as<Number>(before), ldc);
  };
  INFO("m " << c.m << ", n " << c.n << ", k " << c.k << ", margin " << c.margin);
  // The margins between the rows are compared too: nothing may write there.
  check_accuracy(ours<T, Out>(form, c, a, lda, b, ldb, before, ldc), as<Out>(reference(A{})),
                 as<double>(reference(testing::Exact<T>{})));
}

TEMPLATE_TEST_CASE("matrix products of all forms, sizes and strides", "", float, double, bfloat16,
                   float16) {
  const Case cases[] = {{1, 1, 1, 0, false},
                        {1, 7, 5, 0, true},
                        {13, 1, 11, 3, false},
                        {17, 19, 23, 0, false},
                        {17, 19, 23, 5, true},
                        {67, 3, 101, 1, false},
                        {3, 67, 101, 1, true},
                        {130, 97, 31, 0, false},
                        {64, 64, 64, 0, true},
                        // More rows than a panel serves, and sums in several parts.
                        {2200, 18, 70, 1, true},
                        {70, 66, 1030, 0, true},
                        // Few rows.
                        {1, 700, 301, 0, false},
                        {4, 1100, 130, 7, true},
                        {8, 90, 2050, 1, false},
                        {9, 700, 301, 0, false}};
  for (const Transposed form : {Transposed::kNone, Transposed::kRight, Transposed::kLeft}) {
    for (const Case& c : cases) {
      check<TestType, TestType>(form, c);
      if (!std::is_same_v<TestType, AccumulateOf<TestType>>) {
        check<TestType, AccumulateOf<TestType>>(form, c);
      }
    }
  }
}

TEST_CASE("without accumulation, what stood in the result does not matter") {
  const auto a = normal<float, Buffer>(6, "a");
  const auto b = normal<float, Buffer>(6, "b");
  auto c = testing::poisoned<float>(4);
  Product::nn<float>({a.data(), 2, 3}, {b.data(), 3, 2}, {c.data(), 2, 2}, false);
  CHECK(std::none_of(c.begin(), c.end(), [](float value) { return std::isnan(value); }));
}

/// c = a b + bias and the column sums of b of another product, by the definitions. T: what is read
/// and A: what it is summed in.
struct BiasCase {
  std::size_t m;
  std::size_t n;
  std::size_t k;
};

template <class T>
void check_bias(const BiasCase& c) {
  using A = AccumulateOf<T>;
  INFO("m " << c.m << ", n " << c.n << ", k " << c.k);
  const auto a = normal<T, Buffer>(c.m * c.k, "a");
  const auto b = normal<T, Buffer>(c.k * c.n, "b");
  const auto bias = normal<A, Buffer>(c.n, "bias");
  auto ours = testing::poisoned<T>(c.m * c.n);
  Product::nn_add_rows<T>({a.data(), c.m, c.k}, {b.data(), c.k, c.n}, bias.data(),
                          {ours.data(), c.m, c.n});
  const auto reference = [&]<class Number>(Number) {
    const Case product{c.m, c.n, c.k, 0, true};
    Buffer<Number> rows(c.m * c.n);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<Number>(bias[i % c.n]);
    return testing::naive_product<Number>(Transposed::kNone, size_of(product), as<Number>(a), c.k,
                                          as<Number>(b), c.n, rows, c.n);
  };
  check_accuracy(ours, as<T>(reference(A{})), reference(double{}));
}

TEMPLATE_TEST_CASE("a bias is added to every row within the product", "", float, double, bfloat16,
                   float16) {
  for (const BiasCase& c : {BiasCase{1, 1, 1}, BiasCase{130, 97, 31}, BiasCase{3, 200, 24}}) {
    check_bias<TestType>(c);
  }
}

template <class T>
void check_bias_gradient(const BiasCase& c, bool accumulate) {
  using A = AccumulateOf<T>;
  INFO("m " << c.m << ", n " << c.n << ", k " << c.k);
  const auto a = normal<T, Buffer>(c.k * c.m, "a");
  const auto b = normal<T, Buffer>(c.k * c.n, "b", 1, 3);
  const auto before = normal<A, Buffer>(c.m * c.n, "c");
  auto ours = accumulate ? before : testing::poisoned<A>(before.size());
  Buffer<A> sum(c.n, A(2));
  Product::tn_sum_rows<T, A>({a.data(), c.k, c.m}, {b.data(), c.k, c.n}, {ours.data(), c.m, c.n},
                             accumulate, sum.data());
  const Case product{c.m, c.n, c.k, 0, accumulate};
  const auto reference = [&]<class Number>(Number) {
    return testing::naive_product<Number>(Transposed::kLeft, size_of(product), as<Number>(a), c.m,
                                          as<Number>(b), c.n, as<Number>(before), c.n);
  };
  check_accuracy(ours, reference(A{}), reference(double{}));
  const auto sums = [&]<class Number>(Number) {
    Buffer<Number> total(c.n, Number(2));
    for (std::size_t i = 0; i < b.size(); ++i) total[i % c.n] += static_cast<Number>(b[i]);
    return total;
  };
  check_accuracy(sum, sums(A{}), sums(double{}));
}

TEMPLATE_TEST_CASE("the sums of b's rows come with the product", "", float, bfloat16, float16) {
  // c tall and wide, of one and of several pieces; more rows than are summed at a time.
  for (const BiasCase& c : {BiasCase{1, 1, 1}, BiasCase{300, 7, 40}, BiasCase{7, 300, 40},
                            BiasCase{100, 60, 1100}, BiasCase{33, 2, 5}}) {
    for (const bool accumulate : {false, true}) check_bias_gradient<TestType>(c, accumulate);
  }
}

TEST_CASE("a sum that is rounded to 16 bits is rounded once") {
  constexpr std::size_t kRows = 1100;
  const Buffer<bfloat16> ones(kRows, bfloat16(1.0F));
  bfloat16 product{};
  float sum = 0;
  Product::tn_sum_rows<bfloat16>({ones.data(), kRows, 1}, {ones.data(), kRows, 1}, {&product, 1, 1},
                                 false, &sum);
  CHECK(float{product} == 1104.0F);  // the nearest there is to 1100
  CHECK(sum == 1100.0F);
}

TEST_CASE("the products of few rows keep their bits with any number of threads") {
  const Case c{3, 700, 1001, 0, false};
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return ours<bfloat16, float>(Transposed::kNone, c, normal<bfloat16, Buffer>(c.m * c.k, "a"),
                                 c.k, normal<bfloat16, Buffer>(c.k * c.n, "b"), c.n,
                                 testing::poisoned<float>(c.m * c.n), c.n);
  };
  const auto one = run(1);
  CHECK(testing::same_bits(one, run(2)));
  CHECK(testing::same_bits(one, run(3)));
}

TEST_CASE("matrix products keep their bits with any number of threads") {
  const Case c{150, 90, 70, 0, true};
  const auto with_bias = [&](int threads) {
    const ThreadCountScope set(threads);
    const auto a = normal<float, Buffer>(c.k * c.m, "a");
    const auto b = normal<float, Buffer>(c.k * c.n, "b");
    Buffer<float> result(2 * c.m * c.n + c.n);
    Product::tn_sum_rows<float, float>({a.data(), c.k, c.m}, {b.data(), c.k, c.n},
                                       {result.data(), c.m, c.n}, false,
                                       result.data() + 2 * c.m * c.n);
    Product::nn_add_rows<float>({a.data(), c.m, c.k}, {b.data(), c.k, c.n}, b.data(),
                                {result.data() + c.m * c.n, c.m, c.n});
    return result;
  };
  CHECK(testing::same_bits(with_bias(1), with_bias(2)));
  CHECK(testing::same_bits(with_bias(1), with_bias(3)));
  for (const Transposed form : {Transposed::kNone, Transposed::kRight, Transposed::kLeft}) {
    const auto run = [&](int threads) {
      const ThreadCountScope set(threads);
      const std::size_t lda = form == Transposed::kLeft ? c.m : c.k;
      const std::size_t ldb = form == Transposed::kRight ? c.k : c.n;
      return ours<float, float>(form, c, normal<float, Buffer>(c.m * c.k, "a"), lda,
                                normal<float, Buffer>(c.n * c.k, "b"), ldb,
                                normal<float, Buffer>(c.m * c.n, "c"), c.n);
    };
    const auto one = run(1);
    CHECK(testing::same_bits(one, run(2)));
    CHECK(testing::same_bits(one, run(3)));
  }
}

}  // namespace
}  // namespace vid2vox
