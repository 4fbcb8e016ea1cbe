#include "vid2vox/linalg/packed_product.hpp"

#include "ops/naive_product.hpp"
#include "support/arrays.hpp"

// Compiled twice: for the processor at hand and, in packed_product_baseline_test.cpp, for any, with
// short vectors and the question of whether it multiplies bfloat16 numbers asked at run time.

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::normal;

struct Case {
  std::size_t m;
  std::size_t n;
  std::size_t k;
};

/// Operands of T whose products are of factors L.
template <class L, class T>
struct Operands {
  using Sum = linalg::SumOf<L>;
  static constexpr std::size_t kMargin = 3;  // columns that belong to nobody

  Transposed transposed;
  Case c;
  bool accumulate;
  std::size_t a_rows = transposed == Transposed::kLeft ? c.k : c.m;
  std::size_t a_cols = transposed == Transposed::kLeft ? c.m : c.k;
  std::size_t b_rows = transposed == Transposed::kRight ? c.n : c.k;
  std::size_t b_cols = transposed == Transposed::kRight ? c.k : c.n;
  Buffer<T> a = normal<T, Buffer>(a_rows * (a_cols + kMargin), "a");
  Buffer<T> b = normal<T, Buffer>(b_rows * (b_cols + kMargin), "b");
  Buffer<Sum> before = normal<Sum, Buffer>(c.m * (c.n + kMargin), "c");

  Buffer<Sum> ours() const {
    Buffer<Sum> result = before;
    linalg::packed_product<L, T, T>(transposed, {a.data(), a_rows, a_cols, a_cols + kMargin},
                                    {b.data(), b_rows, b_cols, b_cols + kMargin},
                                    {result.data(), c.m, c.n, c.n + kMargin}, accumulate);
    return result;
  }
  template <class Number>
  Buffer<Number> naive() const {
    return testing::naive_product<Number>(transposed, {c.m, c.n, c.k, accumulate}, as<Number>(a),
                                          a_cols + kMargin, as<Number>(b), b_cols + kMargin,
                                          as<Number>(before), c.n + kMargin);
  }
};

template <class L, class T = L>
void check() {
  using Sum = typename Operands<L, T>::Sum;
  const Case cases[] = {{1, 1, 1},    {1, 50, 33},   {8, 48, 64},   {9, 49, 65},
                        {67, 3, 101}, {130, 97, 31}, {260, 18, 70}, {40, 66, 1100}};
  for (const Transposed transposed : {Transposed::kNone, Transposed::kLeft, Transposed::kRight}) {
    for (const bool accumulate : {false, true}) {
      for (const Case& c : cases) {
        INFO("form " << static_cast<int>(transposed) << ", m " << c.m << ", n " << c.n << ", k "
                     << c.k << ", accumulate " << accumulate);
        const Operands<L, T> operands{transposed, c, accumulate};
        // The margins between the rows are compared too: nothing may write there.
        check_accuracy(operands.ours(), operands.template naive<Sum>(),
                       as<double>(operands.template naive<testing::Exact<Sum>>()));
      }
    }
  }
}

TEST_CASE("packed products of float32 and float64, of all forms and sizes") {
  check<float>();
  check<double>();
}

TEST_CASE("packed products of bfloat16 pairs, where the processor multiplies them") {
  if (!linalg::multiplies_bfloat16()) {
    WARN("[skipped] this processor has no AVX512_BF16");
    return;
  }
  check<linalg::Bfloat16Pair, bfloat16>();
}

TEST_CASE("packed products of 16-bit numbers, widened on the way") {
  check<float, bfloat16>();
  check<float, float16>();
}

TEST_CASE("a packed product without terms is zero, or adds nothing") {
  Buffer<float> c(6, 2.0F);
  const MatrixView<const float> a(c.data(), 2, 0);
  const MatrixView<const float> b(c.data(), 0, 3);
  linalg::packed_product<float>(Transposed::kNone, a, b, {c.data(), 2, 3}, true);
  CHECK(c[5] == 2.0F);
  linalg::packed_product<float>(Transposed::kNone, a, b, {c.data(), 2, 3}, false);
  CHECK(c[5] == 0.0F);
}

}  // namespace
}  // namespace vid2vox
