#include "vid2vox/layers/linear.hpp"

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/layers/activation.hpp"
#include "vid2vox/layers/position_embedding.hpp"
#include "vid2vox/layers/residual.hpp"
#include "vid2vox/layers/sequential.hpp"

namespace vid2vox {
namespace {

using testing::Double;
using testing::require_gradients;

using WithBias = Linear<5, 7, LinearConfig{}, Double>;
constexpr LinearConfig kNoBias{.bias = false};
using WithoutBias = Linear<5, 5, kNoBias, Double>;
constexpr SampleShape kShape{1, 2, 3, 5};

TEST_CASE("Linear: gradients") {
  require_gradients<WithBias, kShape>();
  require_gradients<WithoutBias, kShape>({.batch = 1});
}

TEST_CASE("Linear is PyTorch's: y = x W' + b with W [Out, In]") {
  Buffer<double> parameters(WithBias::parameter_count);
  const auto tensors = tensor_list<WithBias>("fc");
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].name == "fc.weight");
  CHECK(tensors[0].shape == std::vector<std::size_t>{7, 5});
  CHECK(tensors[1].name == "fc.bias");
  // W[o][i] = 10 o + i, b[o] = 100 o.
  for_each_element(tensors[0], [&](std::size_t position, std::size_t offset) {
    parameters[offset] = 10 * static_cast<double>(position / 5) + static_cast<double>(position % 5);
  });
  for_each_element(tensors[1], [&](std::size_t position, std::size_t offset) {
    parameters[offset] = 100 * static_cast<double>(position);
  });
  const double x[5] = {1, -1, 2, 0, 3};
  double y[7];
  WithBias::forward_rows(1, {parameters.data(), nullptr}, x, y);
  for (int out = 0; out < 7; ++out) {
    // sum x = 5; sum i x_i = -1 + 4 + 12 = 15
    CHECK(y[out] == 10 * out * 5 + 15 + 100 * out);
  }
}

TEST_CASE("activations: gradients and values") {
  require_gradients<Relu<Double>, kShape>();
  require_gradients<Gelu2<Double>, kShape>();
  const double x[3] = {-2, 0, 3};
  double y[3];
  Context<double> context;
  Relu<Double>::forward<SampleShape{1, 1, 1, 3}>(context, {}, x, y, nullptr);
  CHECK(y[0] == 0);
  CHECK(y[1] == 0);
  CHECK(y[2] == 3);
  Gelu2<Double>::forward<SampleShape{1, 1, 1, 3}>(context, {}, x, y, nullptr);
  CHECK(y[2] == Approx(3 / (1 + std::exp(-1.702 * 3))));
  CHECK(y[0] == Approx(-2 / (1 + std::exp(1.702 * 2))));
}

TEST_CASE("BroadcastPositionEmbedding: gradients, and the tables of t, h and w one after another") {
  using Embedding = BroadcastPositionEmbedding<Extent3{2, 3, 4}, 6, Double>;
  constexpr SampleShape kGrid{2, 3, 4, 6};
  require_gradients<Embedding, kGrid>();
  Buffer<double> parameters(Embedding::parameter_count);
  for (const TensorInfo& info : tensor_list<Embedding>()) {
    const double axis = info.name.back() - '0';
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      parameters[offset] = 100 * axis + static_cast<double>(position);
    });
  }
  Buffer<double> zero(kGrid.size());
  Buffer<double> y(kGrid.size(), NAN);
  Embedding::broadcast({parameters.data(), nullptr}, y.data());
  double token[6];
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t h = 0; h < 3; ++h) {
      for (std::size_t w = 0; w < 4; ++w) {
        const std::size_t raster = (t * 3 + h) * 4 + w;
        const std::size_t row[3] = {t, h, w};
        Embedding::add_token({parameters.data(), nullptr}, 1, raster, zero.data(), token);
        for (std::size_t c = 0; c < 6; ++c) {
          const double expected =
              100 * static_cast<double>(c / 2) + static_cast<double>(2 * row[c / 2] + c % 2);
          CHECK(y[raster * 6 + c] == expected);
          CHECK(token[c] == expected);
        }
      }
    }
  }
}

using Chain = Sequential<Named<"first", WithBias>, Gelu2<Double>,
                         Named<"", Residual<Linear<7, 7, LinearConfig{}, Double>>>>;

TEST_CASE("Sequential and Residual: gradients") {
  require_gradients<Chain, kShape>();
  require_gradients<Residual<WithoutBias>, kShape>();
  require_gradients<Sequential<WithBias>, kShape>();
}

TEST_CASE("ReLU between two layers takes no memory of its own") {
  using Wide = Linear<7, 7, LinearConfig{}, Double>;
  using Plain = Sequential<WithBias, Wide, Wide>;
  using WithRelu = Sequential<WithBias, Relu<Double>, Wide, Relu<Double>, Relu<Double>, Wide>;
  CHECK(WithRelu::saved_count<kShape>(3) == Plain::saved_count<kShape>(3));
  require_gradients<WithRelu, kShape>();
  // Where it is the first or the last, its input is kept: nobody else does, or the caller's.
  using AtEnds = Sequential<Relu<Double>, WithBias, Relu<Double>>;
  require_gradients<AtEnds, kShape>();
  testing::LayerRun<AtEnds, kShape> run(2, false);
  const Buffer<double> x = run.x;
  run.forward();
  run.backward();
  CHECK(testing::same_bits(run.x, x));
  CHECK(SequentialOf<LayerGroup<WithBias, Relu<Double>>, LayerGroup<>,
                     LayerGroup<Wide>>::parameter_count == 42 + 56);
}

TEST_CASE("Sequential names its children by index or as told, in disjoint places") {
  const auto tensors = tensor_list<Chain>("net");
  std::vector<std::string> names;
  std::vector<int> owners(Chain::parameter_count, 0);
  for (const TensorInfo& info : tensors) {
    names.push_back(info.name);
    for_each_element(info, [&](std::size_t, std::size_t offset) { ++owners.at(offset); });
  }
  CHECK(names ==
        std::vector<std::string>{"net.first.weight", "net.first.bias", "net.weight", "net.bias"});
  CHECK(std::all_of(owners.begin(), owners.end(), [](int count) { return count == 1; }));
}

}  // namespace
}  // namespace vid2vox
