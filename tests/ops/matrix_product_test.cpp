#include "vid2vox/backend/cpu/matrix_product.hpp"

#include "ops/arrays.hpp"
#include "ops/threads.hpp"

namespace vid2vox {
namespace {

using testing::check_accuracy;
using testing::normal;

enum class Form { kNn, kNt, kTn };
using Product = ops::MatrixProduct<cpu>;

struct Case {
  std::size_t m;
  std::size_t n;
  std::size_t k;
  std::size_t margin;  // columns of the buffers that belong to nobody
  bool accumulate;
};

template <class T>
Buffer<T> naive(Form form, const Case& c, const Buffer<T>& a, std::size_t lda, const Buffer<T>& b,
                std::size_t ldb, const Buffer<T>& before, std::size_t ldc) {
  Buffer<T> result = before;
  for (std::size_t i = 0; i < c.m; ++i) {
    for (std::size_t j = 0; j < c.n; ++j) {
      T sum = c.accumulate ? before[i * ldc + j] : T(0);
      for (std::size_t p = 0; p < c.k; ++p) {
        const T x = form == Form::kTn ? a[p * lda + i] : a[i * lda + p];
        const T y = form == Form::kNt ? b[j * ldb + p] : b[p * ldb + j];
        sum += x * y;
      }
      result[i * ldc + j] = sum;
    }
  }
  return result;
}

template <class T>
Buffer<T> ours(Form form, const Case& c, const Buffer<T>& a, std::size_t lda, const Buffer<T>& b,
               std::size_t ldb, const Buffer<T>& before, std::size_t ldc) {
  Buffer<T> result = before;
  const MatrixView<const T> left(a.data(), form == Form::kTn ? c.k : c.m,
                                 form == Form::kTn ? c.m : c.k, lda);
  const MatrixView<const T> right(b.data(), form == Form::kNt ? c.n : c.k,
                                  form == Form::kNt ? c.k : c.n, ldb);
  const MatrixView<T> target(result.data(), c.m, c.n, ldc);
  if (form == Form::kNn) Product::nn<T>(left, right, target, c.accumulate);
  if (form == Form::kNt) Product::nt<T>(left, right, target, c.accumulate);
  if (form == Form::kTn) Product::tn<T>(left, right, target, c.accumulate);
  return result;
}

template <class T>
void check(Form form, const Case& c) {
  const std::size_t lda = (form == Form::kTn ? c.m : c.k) + c.margin;
  const std::size_t ldb = (form == Form::kNt ? c.k : c.n) + c.margin;
  const std::size_t ldc = c.n + c.margin;
  const std::size_t rows_a = form == Form::kTn ? c.k : c.m;
  const std::size_t rows_b = form == Form::kNt ? c.n : c.k;
  const auto a = normal<T>(rows_a * lda, "a");
  const auto b = normal<T>(rows_b * ldb, "b");
  const auto before = normal<T>(c.m * ldc, "c");
  const auto exact =
      naive<double>(form, c, normal<double>(a.size(), "a"), lda, normal<double>(b.size(), "b"), ldb,
                    normal<double>(before.size(), "c"), ldc);
  INFO("m " << c.m << ", n " << c.n << ", k " << c.k << ", margin " << c.margin);
  // The margins between the rows are compared too: nothing may write there.
  check_accuracy(ours<T>(form, c, a, lda, b, ldb, before, ldc),
                 naive<T>(form, c, a, lda, b, ldb, before, ldc), exact);
}

TEST_CASE("matrix products of all forms, sizes and strides") {
  const Case cases[] = {{1, 1, 1, 0, false},    {1, 7, 5, 0, true},      {13, 1, 11, 3, false},
                        {17, 19, 23, 0, false}, {17, 19, 23, 5, true},   {67, 3, 101, 1, false},
                        {3, 67, 101, 1, true},  {130, 97, 31, 0, false}, {64, 64, 64, 0, true}};
  for (const Form form : {Form::kNn, Form::kNt, Form::kTn}) {
    for (const Case& c : cases) {
      check<float>(form, c);
      check<double>(form, c);
    }
  }
}

TEST_CASE("without accumulation, what stood in the result does not matter") {
  const auto a = normal<float>(6, "a");
  const auto b = normal<float>(6, "b");
  auto c = testing::poisoned<float>(4);
  Product::nn<float>({a.data(), 2, 3}, {b.data(), 3, 2}, {c.data(), 2, 2}, false);
  CHECK(std::none_of(c.begin(), c.end(), [](float value) { return std::isnan(value); }));
}

TEST_CASE("matrix products keep their bits with any number of threads") {
  const Case c{150, 90, 70, 0, true};
  for (const Form form : {Form::kNn, Form::kNt, Form::kTn}) {
    const auto run = [&](int threads) {
      const testing::Threads set(threads);
      const std::size_t lda = form == Form::kTn ? c.m : c.k;
      const std::size_t ldb = form == Form::kNt ? c.k : c.n;
      return ours<float>(form, c, normal<float>(c.m * c.k, "a"), lda, normal<float>(c.n * c.k, "b"),
                         ldb, normal<float>(c.m * c.n, "c"), c.n);
    };
    const auto one = run(1);
    CHECK(testing::same_bits(one, run(2)));
    CHECK(testing::same_bits(one, run(3)));
  }
}

}  // namespace
}  // namespace vid2vox
