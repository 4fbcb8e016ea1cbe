#include "vid2vox/backend/cpu/loss.hpp"

#include "ops/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::normal;
using Loss = ops::Loss<cpu>;

double squared_error(const Buffer<float>& a, const Buffer<float>& b) {
  double loss = NAN;
  Loss::squared_error(a.size(), a.data(), b.data(), &loss);
  return loss;
}

TEST_CASE("mean squared error and its gradient") {
  for (const std::size_t n : {1U, 5U, 255U, 256U, 257U, 200000U}) {
    const auto a = normal<float>(n, "a", 1, 3);
    const auto b = normal<float>(n, "b");
    double expected = 0;
    for (std::size_t i = 0; i < n; ++i) expected += std::pow(double{a[i]} - double{b[i]}, 2);
    expected /= static_cast<double>(n);
    CHECK(squared_error(a, b) == Approx(expected).epsilon(1e-12));
  }
  const auto a = normal<double>(40, "a");
  const auto b = normal<double>(40, "b");
  Buffer<double> gradient(40, 1.0);
  Loss::squared_error_gradient(40, a.data(), b.data(), 0.25, gradient.data());
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK(gradient[i] == Approx(1 + 0.25 * 2 * (a[i] - b[i]) / 40));
  }
  Buffer<double> scaled(40, 1.0);
  const double scale = 8;
  Loss::squared_error_gradient(40, a.data(), b.data(), 0.25 / scale, scaled.data(), &scale);
  CHECK(testing::same_bits(scaled, gradient));
}

struct Logits {
  std::size_t rows;
  std::size_t classes;
  double scale;
};

std::vector<std::int32_t> targets(const Logits& shape) {
  std::vector<std::int32_t> result(shape.rows);
  RandomStream stream({1, 2, 3});
  for (auto& target : result) target = static_cast<std::int32_t>(stream.below(shape.classes));
  return result;
}

/// Loss and gradient by the definition, in float64.
std::pair<double, Buffer<double>> exact(const Logits& shape) {
  const auto logits = normal<double>(shape.rows * shape.classes, "logits", shape.scale);
  const auto target = targets(shape);
  Buffer<double> gradient(logits.size());
  double loss = 0;
  const double rows = static_cast<double>(shape.rows);
  for (std::size_t row = 0; row < shape.rows; ++row) {
    const double* logit = logits.data() + row * shape.classes;
    const double largest = *std::max_element(logit, logit + shape.classes);
    double total = 0;
    for (std::size_t i = 0; i < shape.classes; ++i) total += std::exp(logit[i] - largest);
    const auto label = static_cast<std::size_t>(target[row]);
    loss -= (logit[label] - largest - std::log(total)) / rows;
    for (std::size_t i = 0; i < shape.classes; ++i) {
      gradient[row * shape.classes + i] =
          (std::exp(logit[i] - largest) / total - (i == label ? 1 : 0)) / rows;
    }
  }
  return {loss, std::move(gradient)};
}

double cross_entropy(const Logits& shape, const float* logits, float* d_logits, double scale = 1) {
  double loss = NAN;
  Loss::cross_entropy(shape.rows, shape.classes, logits, targets(shape).data(), d_logits, &loss,
                      &scale);
  return loss;
}

TEST_CASE("cross entropy and its gradient, for small and for very large logits") {
  // Scale 500: the exponential of a logit itself would overflow.
  for (const Logits& shape : {Logits{7, 5, 1}, Logits{33, 100, 10}, Logits{9, 17, 500},
                              Logits{1, 1, 1}, Logits{600, 24, 2}}) {
    const auto [loss, gradient] = exact(shape);
    const auto logits = normal<float>(shape.rows * shape.classes, "logits", shape.scale);
    auto d_logits = testing::poisoned<float>(logits.size());
    const double mine = cross_entropy(shape, logits.data(), d_logits.data());
    // The sum of exponentials is a float32 sum.
    CHECK(mine == Approx(loss).epsilon(1e-6).margin(1e-7));
    constexpr double kRounding = 1e-6;
    CHECK(testing::largest_error(d_logits, gradient) <=
          kRounding / static_cast<double>(shape.rows));

    // In place, and without a gradient.
    auto same = logits;
    CHECK(cross_entropy(shape, same.data(), same.data()) == mine);
    CHECK(testing::same_bits(same, d_logits));
    CHECK(cross_entropy(shape, logits.data(), nullptr) == mine);

    // Scaled, in powers of two exactly.
    constexpr float kScale = 1024;
    CHECK(cross_entropy(shape, logits.data(), same.data(), kScale) == mine);
    for (float& value : d_logits) value *= kScale;
    CHECK(testing::same_bits(same, d_logits));
  }
}

TEST_CASE("losses keep their bits with any number of threads") {
  const auto a = normal<float>(300000, "a");
  const auto b = normal<float>(300000, "b");
  const Logits shape{2000, 24, 2};
  const auto logits = normal<float>(shape.rows * shape.classes, "logits", shape.scale);
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return std::pair(squared_error(a, b), cross_entropy(shape, logits.data(), nullptr));
  };
  CHECK(run(1) == run(2));
  CHECK(run(1) == run(3));
}

}  // namespace
}  // namespace vid2vox
