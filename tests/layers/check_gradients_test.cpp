#include "vid2vox/layers/check_gradients.hpp"

#include "layers/gradients.hpp"

namespace vid2vox {
namespace {

using testing::Double;

/// y = p x + p^2 with one parameter, and one mistake to choose.
enum class Mistake { kNone, kWrongInput, kWrongParameter, kOverwrites, kTooMuchSaved, kReadsNull };

template <Mistake M>
struct Scaled {
  using policy = Double;
  static constexpr std::size_t parameter_count = 1;
  static constexpr std::size_t buffer_count = 0;
  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 1;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static void forward(Context<double>& context, const State<double>& state, const double* x,
                      double* y, double* saved) {
    const double p = state.parameters[0];
    for (std::size_t i = 0; i < context.batch * S.size(); ++i) y[i] = p * x[i] + p * p;
    saved[0] = p;
    if (M == Mistake::kTooMuchSaved) saved[1] = p;
  }
  template <SampleShape S>
  static void backward(Context<double>& context, const State<double>&, const double* x,
                       const double* saved, const double* dy, double* dx, double* gradients) {
    const double p = saved[0];
    if (M == Mistake::kOverwrites) gradients[0] = 0;
    for (std::size_t i = 0; i < context.batch * S.size(); ++i) {
      gradients[0] += dy[i] * (x[i] + (M == Mistake::kWrongParameter ? 1 : 2) * p);
      if (dx != nullptr) dx[i] = dy[i] * p * (M == Mistake::kWrongInput && i == 3 ? 1.001 : 1);
      if (dx == nullptr && M == Mistake::kReadsNull) gradients[0] += 1;
    }
  }
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(dense_parameter(scope.name("p"), {1}, scope.parameter_offset, Initializer::ones()));
  }
};

constexpr SampleShape kShape{1, 2, 2, 3};

template <Mistake M>
GradientReport report() {
  return check_gradients<Scaled<M>, kShape>();
}

TEST_CASE("check_gradients passes a right layer and counts what it compared") {
  const auto right = report<Mistake::kNone>();
  INFO(right.text());
  CHECK(right.passes(1e-6));
  CHECK(right.checked == 2 * kShape.size() + 1);
  CHECK(check_gradients<Scaled<Mistake::kNone>, kShape>({.samples = 5}).checked == 5 + 1);
}

TEST_CASE("check_gradients says which element is wrong") {
  const auto input = report<Mistake::kWrongInput>();
  CHECK_FALSE(input.passes(1e-6));
  CHECK(input.worst_tensor == "x");
  CHECK(input.worst_element == 3);
  CHECK(input.worst_error > 1e-5);
  CHECK(input.text().find("x[3]") != std::string::npos);
  const auto parameter = report<Mistake::kWrongParameter>();
  CHECK_FALSE(parameter.passes(1e-6));
  CHECK(parameter.worst_tensor == "p");
}

TEST_CASE("check_gradients finds broken promises") {
  const auto problem = [](const GradientReport& found) {
    CHECK_FALSE(found.passes(1e-6));
    return found.problems.empty() ? std::string() : found.problems.front();
  };
  CHECK(problem(report<Mistake::kOverwrites>()).find("accumulate") != std::string::npos);
  CHECK(problem(report<Mistake::kTooMuchSaved>()).find("past the end") != std::string::npos);
  CHECK(problem(report<Mistake::kReadsNull>()).find("dx is null") != std::string::npos);
}

}  // namespace
}  // namespace vid2vox
