#include "vid2vox/training/adam.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox {
namespace {

/// PyTorch's Adam, written down literally, in float64.
struct Reference {
  std::vector<double> m;
  std::vector<double> v;
  int t = 0;
  explicit Reference(std::size_t n) : m(n), v(n) {}
  void step(double rate, const Buffer<double>& g, Buffer<double>& p) {
    ++t;
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(0.9, t));
      const double v_hat = v[i] / (1 - std::pow(0.999, t));
      p[i] -= rate * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
};

constexpr std::size_t kCount = 37;

Buffer<double> draw(std::uint64_t step, double scale) {
  Buffer<double> values(kCount);
  const RandomKey key{1, step, stream_of("adam")};
  for (std::size_t i = 0; i < kCount; ++i) values[i] = scale * key.normal(i);
  return values;
}

template <class T>
void check(double tolerance) {
  Buffer<double> expected = draw(0, 1);
  Buffer<T> parameters(kCount);
  std::copy(expected.begin(), expected.end(), parameters.begin());
  Reference reference(kCount);
  using Precision = std::conditional_t<std::is_same_v<T, float>, fp32, fp64>;
  Adam<Policy<Precision, cpu>> adam(kCount);
  for (std::uint64_t step = 1; step <= 20; ++step) {
    // Gradients from tiny to large: Adam's steps do not depend on their scale.
    const Buffer<double> gradient = draw(step, std::pow(10.0, static_cast<double>(step % 7) - 4));
    Buffer<T> single(kCount);
    std::copy(gradient.begin(), gradient.end(), single.begin());
    reference.step(1e-2, gradient, expected);
    adam.step(1e-2, single.data(), parameters.data());
  }
  CHECK(adam.steps() == 20);
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK(static_cast<double>(parameters[i]) == Approx(expected[i]).margin(tolerance));
  }
}

TEST_CASE("Adam equals PyTorch's formula") {
  check<double>(1e-13);
  check<float>(2e-6);
}

TEST_CASE("Adam's first step is the learning rate against the gradient's sign") {
  Adam<Policy<fp64, cpu>> adam(3);
  const double gradient[3] = {1e-3, -500, 0};
  double parameters[3] = {1, 1, 1};
  adam.step(0.1, gradient, parameters);
  CHECK(parameters[0] == Approx(0.9).epsilon(1e-5));
  CHECK(parameters[1] == Approx(1.1).epsilon(1e-5));
  CHECK(parameters[2] == 1);
}

TEST_CASE("Adam goes on from stored moments and step count") {
  Buffer<double> once = draw(0, 1);
  Buffer<double> resumed = once;
  Adam<Policy<fp64, cpu>> adam(kCount);
  adam.step(1e-2, draw(1, 1).data(), once.data());
  Adam<Policy<fp64, cpu>> first(kCount);
  first.step(1e-2, draw(1, 1).data(), resumed.data());
  Adam<Policy<fp64, cpu>> second(kCount);
  second.first_moment() = first.first_moment();
  second.second_moment() = first.second_moment();
  second.set_steps(first.steps());
  adam.step(1e-2, draw(2, 1).data(), once.data());
  second.step(1e-2, draw(2, 1).data(), resumed.data());
  CHECK(std::equal(once.begin(), once.end(), resumed.begin()));
}

}  // namespace
}  // namespace vid2vox
