#include "vid2vox/core/parameters.hpp"

#include <algorithm>
#include <cmath>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("for_each_element walks PyTorch's order over any strides") {
  // A [2, 3] tensor stored transposed at offset 10.
  TensorInfo info = dense_parameter("w", {2, 3}, 10, Initializer::zeros());
  info.stride = {1, 2};
  std::vector<std::size_t> positions;
  std::vector<std::size_t> offsets;
  for_each_element(info, [&](std::size_t position, std::size_t offset) {
    positions.push_back(position);
    offsets.push_back(offset);
  });
  CHECK(positions == std::vector<std::size_t>{0, 1, 2, 3, 4, 5});
  CHECK(offsets == std::vector<std::size_t>{10, 12, 14, 11, 13, 15});
  CHECK(info.size() == 6);
  // A part of them, from the middle of a row.
  offsets.clear();
  for_each_element(info, 2, 5, [&](std::size_t, std::size_t offset) { offsets.push_back(offset); });
  CHECK(offsets == std::vector<std::size_t>{14, 11, 13});
}

TEST_CASE("a scalar has one element, an empty tensor none") {
  int calls = 0;
  for_each_element(dense_parameter("s", {}, 5, Initializer::zeros()),
                   [&](std::size_t position, std::size_t offset) {
                     ++calls;
                     CHECK(position == 0);
                     CHECK(offset == 5);
                   });
  CHECK(calls == 1);
  for_each_element(dense_parameter("e", {2, 0}, 0, Initializer::zeros()),
                   [&](std::size_t, std::size_t) { ++calls; });
  CHECK(calls == 1);
}

TEST_CASE("dense tensors have row-major strides") {
  CHECK(dense_strides({2, 3, 4}) == std::vector<std::size_t>{12, 4, 1});
  CHECK(dense_parameter("p", {2, 3}, 0, Initializer::ones()).storage ==
        TensorInfo::Storage::kParameter);
  CHECK(dense_buffer("b", {2, 3}, 0, Initializer::ones()).storage == TensorInfo::Storage::kBuffer);
}

TEST_CASE("a Scope joins names with dots and adds offsets") {
  const Scope root{"", 100, 10};
  const Scope child = root.child("encoder", 5, 1).child("", 2, 0).child("conv", 0, 0);
  CHECK(child.prefix == "encoder.conv");
  CHECK(child.parameter_offset == 107);
  CHECK(child.buffer_offset == 11);
  CHECK(child.name("weight") == "encoder.conv.weight");
  CHECK(root.name("weight") == "weight");
}

/// A layer's tensors, without the layer.
struct Tensors {
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    const std::size_t base = scope.parameter_offset;
    visit(dense_parameter(scope.name("zeros"), {4}, base, Initializer::zeros()));
    visit(dense_parameter(scope.name("normal"), {1000}, base + 4, Initializer::normal(0.5)));
    visit(dense_parameter(scope.name("uniform"), {1000}, base + 1004, Initializer::uniform(0.25)));
    visit(dense_buffer(scope.name("ones"), {4}, scope.buffer_offset, Initializer::ones()));
  }
};

TEST_CASE("initialize follows each tensor's rule and the seed alone") {
  std::vector<double> parameters(2004, NAN);
  std::vector<double> buffers(4, NAN);
  initialize<Tensors>(parameters.data(), buffers.data(), 3);
  CHECK(std::count(parameters.begin(), parameters.begin() + 4, 0.0) == 4);
  CHECK(std::count(buffers.begin(), buffers.end(), 1.0) == 4);
  double squares = 0;
  for (std::size_t i = 4; i < 1004; ++i) squares += parameters[i] * parameters[i] / 1000;
  CHECK(std::sqrt(squares) == Approx(0.5).epsilon(0.1));
  const auto [low, high] = std::minmax_element(parameters.begin() + 1004, parameters.end());
  CHECK(*low >= -0.25);
  CHECK(*low < -0.24);
  CHECK(*high <= 0.25);
  CHECK(*high > 0.24);

  std::vector<float> single(2004);
  std::vector<float> single_buffers(4);
  initialize<Tensors>(single.data(), single_buffers.data(), 3);
  CHECK(std::equal(single.begin(), single.end(), parameters.begin(),
                   [](float a, double b) { return a == static_cast<float>(b); }));
  initialize<Tensors>(single.data(), single_buffers.data(), 4);
  CHECK(single[4] != static_cast<float>(parameters[4]));
}

TEST_CASE("tensor_list puts the prefix before every name") {
  const auto list = tensor_list<Tensors>("model");
  REQUIRE(list.size() == 4);
  CHECK(list[1].name == "model.normal");
}

}  // namespace
}  // namespace vid2vox
