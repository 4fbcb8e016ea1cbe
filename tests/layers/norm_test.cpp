#include "vid2vox/backend/cpu/norm.hpp"

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/layers/activation.hpp"
#include "vid2vox/layers/batch_norm.hpp"
#include "vid2vox/layers/layer_norm.hpp"
#include "vid2vox/layers/sequential.hpp"

namespace vid2vox {
namespace {

using testing::Double;
using testing::require_gradients;

using Inside = LayerNorm<7, ops::LayerNormEpsilon::kInsideRoot, Double>;
using Outside = LayerNorm<7, ops::LayerNormEpsilon::kOutsideRoot, Double>;
constexpr SampleShape kShape{2, 1, 3, 7};

TEST_CASE("LayerNorm: gradients with either epsilon") {
  require_gradients<Inside, kShape>();
  require_gradients<Outside, kShape>();
}

TEST_CASE("LayerNorm: where the epsilon stands shows in the values and the names") {
  CHECK(tensor_list<Inside>("n")[0].name == "n.weight");
  CHECK(tensor_list<Inside>("n")[1].name == "n.bias");
  CHECK(tensor_list<Outside>("n")[0].name == "n.g");
  CHECK(tensor_list<Outside>("n")[1].name == "n.b");
  // A row of variance 1e-4, where the two formulas differ.
  const double x[7] = {0.01, -0.01, 0.01, -0.01, 0.01, -0.01, 0};
  double variance = 0;
  for (const double value : x) variance += value * value / 7;
  double parameters[14];
  double none[1];
  initialize<Inside>(parameters, none, 1);
  double y[7];
  Inside::forward_rows(1, {parameters, nullptr}, x, y);
  CHECK(y[0] == Approx(0.01 / std::sqrt(variance + 1e-5)).epsilon(1e-12));
  Outside::forward_rows(1, {parameters, nullptr}, x, y);
  CHECK(y[0] == Approx(0.01 * (1e-5 + 1 / std::sqrt(variance))).epsilon(1e-12));
}

using Batch = BatchNorm3d<5, Double>;
constexpr SampleShape kBatchShape{2, 3, 2, 5};

TEST_CASE("BatchNorm3d: gradients in training and in evaluation") {
  require_gradients<Batch, kBatchShape>({.training = true});
  require_gradients<Batch, kBatchShape>({.training = false});
}

constexpr AfterNorm kRelu = AfterNorm::kRelu;
using BatchRelu = BatchNorm3d<5, Double, kRelu>;

TEST_CASE("norms with ReLU: gradients") {
  require_gradients<LayerNorm<7, ops::LayerNormEpsilon::kInsideRoot, Double, kRelu>, kShape>();
  require_gradients<LayerNorm<7, ops::LayerNormEpsilon::kOutsideRoot, Double, kRelu>, kShape>();
  require_gradients<BatchRelu, kBatchShape>({.training = true});
  require_gradients<BatchRelu, kBatchShape>({.training = false});
}

/// The same parameters for all, so that gain and bias are not what they start as.
template <class L>
struct RandomRun : testing::LayerRun<L, kBatchShape> {
  explicit RandomRun(bool training) : testing::LayerRun<L, kBatchShape>(4, training) {
    const RandomKey key{4, 0, stream_of("parameters")};
    for (std::size_t i = 0; i < L::parameter_count; ++i) this->parameters[i] = key.normal(i);
    this->forward();
    this->backward();
  }
};

TEST_CASE("a norm with ReLU is the norm, then ReLU, and counts as two modules") {
  using Apart = Sequential<Batch, Relu<Double>, BatchNorm3d<5, Double>>;
  using Together = Sequential<BatchRelu, BatchNorm3d<5, Double>>;
  const auto names = [](const auto& tensors) {
    std::vector<std::string> result;
    for (const TensorInfo& info : tensors) result.push_back(info.name);
    return result;
  };
  CHECK(names(tensor_list<Apart>("s")) == names(tensor_list<Together>("s")));
  CHECK(tensor_list<Together>("s").back().name == "s.2.num_batches_tracked");
  CHECK(Together::saved_count<kBatchShape>(3) <= Apart::saved_count<kBatchShape>(3));
  for (const bool training : {true, false}) {
    const RandomRun<Apart> apart(training);
    const RandomRun<Together> together(training);
    CHECK(testing::same_bits(apart.y, together.y));
    CHECK(testing::same_bits(apart.dx, together.dx));
    CHECK(testing::same_bits(apart.gradients, together.gradients));
  }
}

TEST_CASE("BatchNorm3d: normalizes in training and moves the running statistics as PyTorch does") {
  testing::LayerRun<Batch, kBatchShape> run(3, true);
  constexpr std::size_t kChannels = 5;
  const std::size_t rows = run.x.size() / kChannels;
  const double count = static_cast<double>(rows);
  run.forward();
  for (std::size_t c = 0; c < kChannels; ++c) {
    double mean = 0;
    double variance = 0;
    for (std::size_t row = 0; row < rows; ++row) mean += run.x[row * kChannels + c] / count;
    for (std::size_t row = 0; row < rows; ++row) {
      variance += std::pow(run.x[row * kChannels + c] - mean, 2) / count;
    }
    for (std::size_t row = 0; row < rows; ++row) {
      const double expected = (run.x[row * kChannels + c] - mean) / std::sqrt(variance + 1e-5);
      CHECK(run.y[row * kChannels + c] == Approx(expected).margin(1e-12));
    }
    CHECK(run.buffers[c] == Approx(0.1 * mean).margin(1e-14));
    CHECK(run.buffers[kChannels + c] == Approx(0.9 + 0.1 * variance * count / (count - 1)));
  }
  CHECK(run.buffers[2 * kChannels] == 1);
  const Buffer<double> after = run.buffers;

  SECTION("not again when a forward pass is repeated for its activations") {
    run.context.recomputing = true;
    run.forward();
    CHECK(testing::same_bits(run.buffers, after));
  }
  SECTION("not in evaluation, which uses them") {
    run.context.training = false;
    run.forward();
    CHECK(testing::same_bits(run.buffers, after));
    CHECK(run.y[0] ==
          Approx((run.x[0] - after[0]) / std::sqrt(after[kChannels] + 1e-5)).epsilon(1e-12));
  }
}

}  // namespace
}  // namespace vid2vox
