#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using backend::cuda::MatrixForm;
using Catch::Matchers::Contains;
using Product = ops::MatrixProduct<cuda>;
using Tf32Policy = Policy<tf32, cuda>;
using Fp32Policy = Policy<fp32, cuda>;

struct Case {
  std::size_t m;
  std::size_t n;
  std::size_t k;
  std::size_t margin;  // columns of the buffers that belong to nobody
  bool accumulate;
};

template <class T>
std::vector<T> normal(std::size_t count, const char* stream) {
  const RandomKey key{17, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = T(static_cast<float>(key.normal(i)));
  return values;
}

template <class T>
std::vector<T> poisoned(std::size_t count) {
  return std::vector<T>(count, T(std::numeric_limits<float>::quiet_NaN()));
}

/// What a tensor core reads of a float32.
float upper_bits_of_tf32(float value) {
  constexpr std::uint32_t kKept = 0xFFFFE000;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & kKept);
}

/// Matrices as they lie in memory; a margin of NaN behind every row of a and b.
template <class T, class Out>
struct Problem {
  MatrixForm form;
  Case size;
  std::size_t a_rows, a_cols, b_rows, b_cols;
  std::vector<T> a, b;
  std::vector<Out> c;

  Problem(MatrixForm the_form, const Case& s) : form(the_form), size(s) {
    a_rows = form == MatrixForm::kTn ? s.k : s.m;
    a_cols = form == MatrixForm::kTn ? s.m : s.k;
    b_rows = form == MatrixForm::kNt ? s.n : s.k;
    b_cols = form == MatrixForm::kNt ? s.k : s.n;
    a = with_margin<T>(normal<T>(a_rows * a_cols, "a"), a_rows, a_cols);
    b = with_margin<T>(normal<T>(b_rows * b_cols, "b"), b_rows, b_cols);
    c = with_margin<Out>(s.accumulate ? normal<Out>(s.m * s.n, "c") : poisoned<Out>(s.m * s.n), s.m,
                         s.n);
  }

  template <class Number>
  std::vector<Number> with_margin(const std::vector<Number>& dense, std::size_t rows,
                                  std::size_t cols) const {
    auto result = poisoned<Number>(rows * (cols + size.margin));
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        result[i * (cols + size.margin) + j] = dense[i * cols + j];
      }
    }
    return result;
  }

  /// Sums in Number of the inputs that `read` makes of the stored ones.
  template <class Number, class Read>
  std::vector<Number> reference(const Read& read) const {
    std::vector<Number> result(size.m * size.n);
    for (std::size_t i = 0; i < size.m; ++i) {
      for (std::size_t j = 0; j < size.n; ++j) {
        Number sum(0);
        for (std::size_t p = 0; p < size.k; ++p) {
          const T x = form == MatrixForm::kTn ? a[p * (a_cols + size.margin) + i]
                                              : a[i * (a_cols + size.margin) + p];
          const T y = form == MatrixForm::kNt ? b[j * (b_cols + size.margin) + p]
                                              : b[p * (b_cols + size.margin) + j];
          sum += static_cast<Number>(read(x)) * static_cast<Number>(read(y));
        }
        if (size.accumulate) {
          sum += static_cast<Number>(static_cast<float>(c[i * (size.n + size.margin) + j]));
        }
        result[i * size.n + j] = sum;
      }
    }
    return result;
  }

  /// The product on the device, with its margins.
  std::vector<Out> run() const {
    DeviceBuffer<T> a_device(a);
    DeviceBuffer<T> b_device(b);
    DeviceBuffer<Out> c_device(c);
    const MatrixView<const T> left(a_device.data(), a_rows, a_cols, a_cols + size.margin);
    const MatrixView<const T> right(b_device.data(), b_rows, b_cols, b_cols + size.margin);
    const MatrixView<Out> target(c_device.data(), size.m, size.n, size.n + size.margin);
    if (form == MatrixForm::kNn) Product::nn<T, Out>(left, right, target, size.accumulate);
    if (form == MatrixForm::kNt) Product::nt<T, Out>(left, right, target, size.accumulate);
    if (form == MatrixForm::kTn) Product::tn<T, Out>(left, right, target, size.accumulate);
    return c_device.download();
  }
};

/// |error| of float32 results against float64 ones, and how much is allowed: twice the naive sum's.
template <class Out>
void check_errors(const std::vector<Out>& ours, const std::vector<float>& naive,
                  const std::vector<double>& exact) {
  double error = 0;
  double naive_error = 0;
  double largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = std::abs(static_cast<double>(static_cast<float>(ours[i])) - exact[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
    const double rounded = static_cast<double>(static_cast<float>(Out(naive[i])));
    naive_error = std::max(naive_error, std::abs(rounded - exact[i]));
    largest = std::max(largest, std::abs(exact[i]));
  }
  // Where the naive sum happens to be exact: one rounding of the output.
  const double unit = std::is_same_v<Out, float>      ? 0x1p-23
                      : std::is_same_v<Out, bfloat16> ? 0x1p-8
                                                      : 0x1p-11;
  INFO("error " << error << ", naive " << naive_error);
  CHECK(error <= std::max(2 * naive_error, unit * largest));
}

template <class T, class Out, class Read>
void check(MatrixForm form, const Case& size, const Read& read) {
  const Problem<T, Out> problem(form, size);
  const std::vector<Out> result = problem.run();
  INFO("m " << size.m << ", n " << size.n << ", k " << size.k << ", margin " << size.margin
            << ", form " << static_cast<int>(form));
  std::vector<Out> dense;
  for (std::size_t i = 0; i < size.m; ++i) {
    const std::size_t row = i * (size.n + size.margin);
    for (std::size_t j = 0; j < size.n; ++j) dense.push_back(result[row + j]);
    for (std::size_t j = size.n; j < size.n + size.margin; ++j) {
      CHECK(std::isnan(static_cast<float>(result[row + j])));  // nothing may write there
    }
  }
  check_errors(
      dense, problem.template reference<float>(read),
      problem.template reference<double>([](T value) { return static_cast<float>(value); }));
}

template <class T, class Out, class Read>
void check_all(const Read& read) {
  const Case cases[] = {{1, 1, 1, 0, false},    {1, 7, 5, 0, true},      {13, 1, 11, 3, false},
                        {17, 19, 23, 0, false}, {17, 19, 23, 5, true},   {67, 3, 101, 1, false},
                        {3, 67, 101, 1, true},  {130, 97, 31, 0, false}, {64, 72, 80, 8, true}};
  for (const MatrixForm form : {MatrixForm::kNn, MatrixForm::kNt, MatrixForm::kTn}) {
    for (const Case& size : cases) check<T, Out>(form, size, read);
  }
}

TEST_CASE("products of float32, of all forms, sizes and strides") {
  const ops::InputPrecisionScope<Fp32Policy> scope;
  check_all<float, float>([](float value) { return value; });
}

TEST_CASE("products of float32 with TF32 inputs") {
  const ops::InputPrecisionScope<Tf32Policy> scope;
  check_all<float, float>(upper_bits_of_tf32);
}

TEST_CASE("TF32 is rounder than float32, so the precision is really chosen") {
  const float fine = 1.0F + 0x1p-20F;
  const auto square = [&] {
    DeviceBuffer<float> a(std::vector<float>(64, fine));
    DeviceBuffer<float> c(64);
    Product::nn<float>({a.data(), 8, 8}, {a.data(), 8, 8}, {c.data(), 8, 8}, false);
    return c.download()[0];
  };
  CHECK(square() == Approx(8.0 * fine * fine).epsilon(0x1p-23));
  const ops::InputPrecisionScope<Tf32Policy> scope;
  CHECK(square() == 8.0F);
}

TEMPLATE_TEST_CASE("products of 16-bit numbers sum in float32", "", bfloat16, float16) {
  const auto read = [](TestType value) { return static_cast<float>(value); };
  check_all<TestType, TestType>(read);
  check_all<TestType, float>(read);
}

TEMPLATE_TEST_CASE("several products at a time are those one by one", "", float, bfloat16) {
  constexpr std::size_t kCount = 3;
  for (const MatrixForm form : {MatrixForm::kNn, MatrixForm::kNt, MatrixForm::kTn}) {
    for (const bool accumulate : {false, true}) {
      // Matrices with a margin of four columns; each begins within the rows of the one before
      // (heads of a row) or behind it.
      const Problem<TestType, float> problem(form, {40, 24, 72, 4, accumulate});
      for (const std::size_t apart : {std::size_t{8}, problem.c.size()}) {
        const std::size_t step = apart == 8 ? 8 : std::max({problem.a.size(), problem.b.size()});
        const auto a = normal<TestType>(problem.a.size() + kCount * step, "many a");
        const auto b = normal<TestType>(problem.b.size() + kCount * step, "many b");
        const DeviceBuffer<TestType> a_device(a), b_device(b);
        const std::size_t c_size = problem.c.size() * kCount;
        DeviceBuffer<float> together(normal<float>(c_size, "many c"));
        DeviceBuffer<float> apart_results(normal<float>(c_size, "many c"));
        backend::cuda::MatrixProductParams p{.form = form,
                                             .in = number_type_of<TestType>,
                                             .accumulate = accumulate,
                                             .m = 40,
                                             .n = 24,
                                             .k = 72,
                                             .a = a_device.data(),
                                             .a_stride = problem.a_cols + 4,
                                             .b = b_device.data(),
                                             .b_stride = problem.b_cols + 4,
                                             .c = together.data(),
                                             .c_stride = 24 + 4,
                                             .count = kCount,
                                             .a_step = step,
                                             .b_step = step,
                                             .c_step = problem.c.size()};
        launch_matrix_product(p, backend::cuda::current_stream());
        p.count = 1;
        for (std::size_t i = 0; i < kCount; ++i) {
          p.a = a_device.data() + i * step;
          p.b = b_device.data() + i * step;
          p.c = apart_results.data() + i * problem.c.size();
          launch_matrix_product(p, backend::cuda::current_stream());
        }
        const auto results = together.download();
        const auto expected = apart_results.download();
        for (std::size_t i = 0; i < c_size; ++i) {
          CHECK(results[i] == Approx(expected[i]).margin(1e-4));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("a bias is added to every row", "", float, bfloat16, float16) {
  for (const auto& [rows, in, out] :
       {std::array<std::size_t, 3>{1, 3, 5}, std::array<std::size_t, 3>{33, 24, 40}}) {
    const auto x = normal<TestType>(rows * in, "x");
    const auto w = normal<TestType>(in * out, "w");
    const auto bias = normal<float>(out, "bias");
    DeviceBuffer<TestType> x_device(x);
    DeviceBuffer<TestType> w_device(w);
    DeviceBuffer<float> bias_device(bias);
    DeviceBuffer<TestType> y(poisoned<TestType>(rows * out));
    Product::nn_add_rows<TestType>({x_device.data(), rows, in}, {w_device.data(), in, out},
                                   bias_device.data(), {y.data(), rows, out});
    std::vector<float> naive(rows * out);
    std::vector<double> exact(rows * out);
    for (std::size_t i = 0; i < rows * out; ++i) {
      float sum = 0;
      double exact_sum = 0;
      for (std::size_t p = 0; p < in; ++p) {
        const auto left = static_cast<float>(x[i / out * in + p]);
        const auto right = static_cast<float>(w[p * out + i % out]);
        sum += left * right;
        exact_sum += static_cast<double>(left) * static_cast<double>(right);
      }
      naive[i] = static_cast<float>(TestType(sum)) + bias[i % out];
      exact[i] = exact_sum + static_cast<double>(bias[i % out]);
    }
    check_errors(y.download(), naive, exact);
  }
}

TEMPLATE_TEST_CASE("the gradients of weights and bias come together", "", float, bfloat16,
                   float16) {
  constexpr std::size_t kRows = 37;
  constexpr std::size_t kIn = 24;
  constexpr std::size_t kOut = 16;
  const auto x = normal<TestType>(kRows * kIn, "x");
  const auto dy = normal<TestType>(kRows * kOut, "dy");
  DeviceBuffer<TestType> x_device(x);
  DeviceBuffer<TestType> dy_device(dy);
  DeviceBuffer<float> weights(poisoned<float>(kIn * kOut));
  const auto before = normal<float>(kOut, "before");
  DeviceBuffer<float> sum(before);
  Product::tn_sum_rows<TestType, float>({x_device.data(), kRows, kIn},
                                        {dy_device.data(), kRows, kOut},
                                        {weights.data(), kIn, kOut}, false, sum.data());
  std::vector<float> naive(before);
  std::vector<double> exact(before.begin(), before.end());
  for (std::size_t i = 0; i < kRows * kOut; ++i) {
    naive[i % kOut] += static_cast<float>(dy[i]);
    exact[i % kOut] += static_cast<double>(static_cast<float>(dy[i]));
  }
  check_errors(sum.download(), naive, exact);
  DeviceBuffer<float> alone(poisoned<float>(kIn * kOut));
  Product::tn<TestType, float>({x_device.data(), kRows, kIn}, {dy_device.data(), kRows, kOut},
                               {alone.data(), kIn, kOut}, false);
  const auto a = weights.download();
  const auto b = alone.download();
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(1e-4));
}

TEST_CASE("products over nothing, and empty results") {
  DeviceBuffer<float> c(std::vector<float>{1, 2, 3, 4});
  Product::nn<float>({c.data(), 0, 3}, {c.data(), 3, 2}, {c.data(), 0, 2}, false);
  Product::nn<float>({nullptr, 2, 0}, {nullptr, 0, 2}, {c.data(), 2, 2}, true);
  CHECK((c.download() == std::vector<float>{1, 2, 3, 4}));
  Product::nn<float>({nullptr, 2, 0}, {nullptr, 0, 1}, {c.data(), 2, 1, 2}, false);
  CHECK((c.download() == std::vector<float>{0, 2, 0, 4}));
}

TEST_CASE("shapes that do not fit are refused, and named") {
  DeviceBuffer<float> c(16);
  const auto wrong = [&] {
    Product::nt<float>({c.data(), 2, 3}, {c.data(), 2, 4}, {c.data(), 2, 2}, false);
  };
  CHECK_THROWS_WITH(wrong(), Contains("[2, 3]") && Contains("[2, 4] (transposed)"));
}

}  // namespace
}  // namespace vid2vox
