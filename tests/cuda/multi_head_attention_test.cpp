// Cross attention whose values are no wide enough vectors: its weights are padded on a GPU in 16
// bits.
#include "vid2vox/layers/multi_head_attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/operations.hpp"
#include "vid2vox/backend/cuda/operations.hpp"
#include "vid2vox/models/model_state.hpp"

namespace vid2vox {
namespace {

constexpr std::size_t kBatch = 2;
constexpr int kDim = 32;
constexpr int kMemoryDim = 12;  // heads of 6
constexpr int kMemoryTokens = 7;
constexpr SampleShape kShape{1, 2, 3, kDim};
constexpr std::size_t kRows = kBatch * kShape.tokens();

template <class ThePolicy>
using Cross =
    MultiHeadCrossAttention<kDim, kMemoryDim, kMemoryTokens, {.heads = 2, .layers = 2}, ThePolicy>;

template <class U>
std::vector<U> normal(std::size_t count, const char* name) {
  const RandomKey key{23, 0, stream_of(name)};
  std::vector<U> values(count);
  // Of few bits, so that all precisions begin with the same numbers.
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<U>(static_cast<float>(std::round(key.normal(i) * 32) / 32));
  }
  return values;
}

/// y, dx, d_memory and the gradients of the parameters, after another one's.
using Results = std::vector<std::vector<double>>;

template <class P, class D>
Results run() {
  using ThePolicy = Policy<P, D>;
  using Layer = Cross<ThePolicy>;
  using T = typename Layer::T;
  using A = typename Layer::A;
  using Memory = ops::Memory<D>;
  const auto upload = []<class U>(const std::vector<U>& host) {
    DeviceArray<ThePolicy, U> device(host.size());
    Memory::upload(host.size(), host.data(), device.data());
    return device;
  };
  ModelState<ThePolicy> state(Layer::parameter_count, 0);
  const auto parameters = normal<A>(Layer::parameter_count, "parameters");
  const Buffer<A> no_buffers(1);
  state.upload(parameters.data(), no_buffers.data());
  const auto x = upload(normal<T>(kRows * kDim, "x"));
  const auto dy = upload(normal<T>(kRows * kDim, "dy"));
  const auto memory = upload(normal<T>(kBatch * kMemoryTokens * kMemoryDim, "memory"));
  auto gradients = upload(normal<A>(Layer::parameter_count, "gradients"));
  auto d_memory = upload(normal<T>(memory.size(), "d_memory"));
  DeviceArray<ThePolicy, T> y(kRows * kDim);
  DeviceArray<ThePolicy, T> dx(kRows * kDim);
  DeviceArray<ThePolicy, T> saved(Layer::template saved_count<kShape>(kBatch));
  DeviceArray<ThePolicy, T> scratch(Layer::template scratch_count<kShape>(kBatch));
  Context<T> context;
  context.batch = kBatch;
  context.scratch = Workspace<T>(scratch.data(), scratch.size());
  Layer::template forward<kShape>(context, state.state(), x.data(), y.data(), saved.data(),
                                  static_cast<const T*>(memory.data()));
  Layer::template backward<kShape>(
      context, state.state(), x.data(), static_cast<const T*>(saved.data()), dy.data(), dx.data(),
      gradients.data(), static_cast<const T*>(memory.data()), d_memory.data());
  const auto numbers = [](const auto& host) {
    return std::vector<double>(host.begin(), host.end());
  };
  Buffer<A> parameter_gradients(gradients.size());
  Memory::download(gradients.size(), static_cast<const A*>(gradients.data()),
                   parameter_gradients.data());
  return {numbers(to_host<ThePolicy>(y.size(), y.data())),
          numbers(to_host<ThePolicy>(dx.size(), dx.data())),
          numbers(to_host<ThePolicy>(d_memory.size(), d_memory.data())),
          numbers(parameter_gradients)};
}

double rms(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < b.size(); ++i) sum += std::pow(a[i] - b[i], 2);
  return std::sqrt(sum / static_cast<double>(b.size()));
}

TEST_CASE("cross attention pads the weights of its values for the GPU in 16 bits, and no others") {
  CHECK(Cross<Policy<bf16, cuda>>::kPaddedWidth == 8);
  CHECK(Cross<Policy<fp16, cuda>>::kPaddedMemory == 16);
  CHECK(Cross<Policy<fp32, cuda>>::kPaddedWidth == 6);
  CHECK(Cross<Policy<bf16, cpu>>::kPaddedWidth == 6);
  CHECK(Cross<Policy<bf16, cuda>>::parameter_count == Cross<Policy<fp64, cpu>>::parameter_count);
}

TEMPLATE_TEST_CASE("cross attention on the GPU computes what it computes on the CPU", "", fp32,
                   bf16, fp16) {
  const Results exact = run<fp64, cpu>();
  const Results naive = run<TestType, cpu>();
  const Results ours = run<TestType, cuda>();
  const char* names[] = {"y", "dx", "d_memory", "gradients"};
  for (std::size_t i = 0; i < exact.size(); ++i) {
    INFO(names[i]);
    CHECK(rms(ours[i], exact[i]) <= 2 * rms(naive[i], exact[i]) + 1e-7);
  }
}

}  // namespace
}  // namespace vid2vox
