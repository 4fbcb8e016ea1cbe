// Work that waits for memory: norms, activation, dropout, cross entropy, Adam, at batch 64 and grid
// (4, 16, 16). The copy's bandwidth is their ceiling.
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

#include "bench.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/backend/cuda/adam/adam.hpp"
#include "vid2vox/backend/cuda/loss/loss.hpp"
#include "vid2vox/backend/cuda/norm/norm.hpp"

namespace vid2vox::bench {
namespace {

constexpr std::size_t kRows = 65'536;
constexpr std::size_t kCheckRows = 512;
constexpr std::size_t kGptChannels = 576;
constexpr std::size_t kVqvaeChannels = 240;
constexpr std::size_t kClasses = 2'048;
constexpr auto kEpsilon = ops::LayerNormEpsilon::kOutsideRoot;
constexpr double kDropout = 0.2;

std::string shape_of(std::size_t cols) {
  return std::to_string(kRows) + "x" + std::to_string(cols);
}

/// Arrays [kRows, cols] and vectors [cols].
template <class P>
struct RowsCase : Case {
  using T = typename P::storage;
  explicit RowsCase(std::size_t columns)
      : cols(columns),
        x(normal_on_device<T>(kRows * cols, "rows x")),
        dy(normal_on_device<T>(kRows * cols, "rows dy")),
        y(kRows * cols),
        gain(normal_on_device<float>(cols, "gain")),
        bias(normal_on_device<float>(cols, "bias")),
        mean(normal_on_device<float>(cols, "mean")),
        inverse_sd(std::vector<float>(cols, 1.0F)),
        d_gain(cols),
        d_bias(cols) {}
  /// The first rows on the host.
  [[nodiscard]] std::vector<float> first(const DeviceBuffer<T>& values) const {
    return to_floats(values, kCheckRows * cols);
  }
  void require(const std::vector<float>& reference, const std::string& what) {
    require_agreement(first(y), reference, kTolerance<P>, what);
  }

  std::size_t cols;
  DeviceBuffer<T> x, dy, y;
  DeviceBuffer<float> gain, bias, mean, inverse_sd, d_gain, d_bias;
};

template <class P>
RowsCase<P>& use(std::size_t cols) {
  return use_case<RowsCase<P>>(name_of<P>("rows", shape_of(cols)),
                               [&] { return std::make_unique<RowsCase<P>>(cols); });
}

/// `arrays` reads and writes of [kRows, cols].
template <class P>
Work work_of(std::size_t cols, int arrays) {
  return {.bytes = static_cast<double>(kRows * cols) * sizeof(typename P::storage) * arrays};
}

/// run(data, rows) on the device, reference(data, result) on the host.
template <class P, class Run, class Reference>
void add_rows(const std::string& operation, std::size_t cols, int arrays, const Run& run,
              const Reference& reference) {
  add(name_of<P>(operation, shape_of(cols)) + "ours", [=](benchmark::State& state) {
    auto& data = use<P>(cols);
    data.y = poisoned<typename P::storage>(data.y.size());
    data.d_gain.fill_with_byte(0);
    data.d_bias.fill_with_byte(0);
    run(data, kCheckRows);
    std::vector<float> expected(kCheckRows * cols);
    reference(data, expected.data());
    data.require(expected, operation);
    time(state, work_of<P>(cols, arrays), [&] { run(data, kRows); });
  });
}

template <class P>
void add_layer_norm() {
  using T = typename P::storage;
  using Data = RowsCase<P>;
  add_rows<P>(
      "layer_norm_forward", kGptChannels, 2,
      [](Data& d, std::size_t rows) {
        ops::LayerNorm<cuda>::forward<kEpsilon, T>(rows, d.cols, d.x.data(), d.gain.data(),
                                                   d.bias.data(), d.y.data());
      },
      [](Data& d, float* y) {
        ops::LayerNorm<cpu>::forward<kEpsilon, float>(kCheckRows, d.cols, d.first(d.x).data(),
                                                      to_floats(d.gain).data(),
                                                      to_floats(d.bias).data(), y);
      });
  add_rows<P>(
      "layer_norm_backward", kGptChannels, 3,
      [](Data& d, std::size_t rows) {
        ops::LayerNorm<cuda>::backward<kEpsilon, T>(rows, d.cols, d.x.data(), d.gain.data(),
                                                    d.dy.data(), d.y.data(), d.d_gain.data(),
                                                    d.d_bias.data());
      },
      [](Data& d, float* dx) {
        std::vector<float> d_gain(d.cols, 0.0F);
        std::vector<float> d_bias(d.cols, 0.0F);
        ops::LayerNorm<cpu>::backward<kEpsilon, float>(
            kCheckRows, d.cols, d.first(d.x).data(), to_floats(d.gain).data(), d.first(d.dy).data(),
            dx, d_gain.data(), d_bias.data());
      });
}

/// Mean and inverse sd of x on the device, then norm and ReLU in one pass.
template <class P>
void batch_norm(RowsCase<P>& d, std::size_t rows) {
  using T = typename P::storage;
  constexpr double kBatchNormEpsilon = 1e-5;
  using Norm = ops::BatchNorm<cuda>;
  Norm::statistics<T>(rows, d.cols, d.x.data(), d.mean.data(), d.inverse_sd.data());
  Norm::inverse_sd(d.cols, kBatchNormEpsilon, d.inverse_sd.data(), d.inverse_sd.data());
  Norm::template apply_relu<T>(rows, d.cols, d.x.data(), d.mean.data(), d.inverse_sd.data(),
                               d.gain.data(), d.bias.data(), d.y.data());
}

template <class P>
void add_batch_norm() {
  using T = typename P::storage;
  using Data = RowsCase<P>;
  add_rows<P>("batch_norm_relu_forward", kVqvaeChannels, 3, &batch_norm<P>, [](Data& d, float* y) {
    const auto x = d.first(d.x);
    const auto mean = to_floats(d.mean);
    const auto inverse_sd = to_floats(d.inverse_sd);
    ops::BatchNorm<cpu>::apply<float>(kCheckRows, d.cols, x.data(), mean.data(), inverse_sd.data(),
                                      to_floats(d.gain).data(), to_floats(d.bias).data(), y);
    ops::Pointwise<cpu>::relu<float>(kCheckRows * d.cols, y, y);
  });
  add_rows<P>(
      "batch_norm_relu_backward", kVqvaeChannels, 5,
      [](Data& d, std::size_t rows) {
        ops::BatchNorm<cuda>::backward_relu<T>(
            rows, d.cols, d.x.data(), d.mean.data(), d.inverse_sd.data(), d.gain.data(),
            d.bias.data(), d.dy.data(), d.y.data(), d.d_gain.data(), d.d_bias.data(), true);
      },
      [](Data& d, float* dx) {
        const auto x = d.first(d.x);
        auto dy = d.first(d.dy);
        const auto mean = to_floats(d.mean);
        const auto inverse_sd = to_floats(d.inverse_sd);
        const auto gain = to_floats(d.gain);
        std::vector<float> y(x.size());
        ops::BatchNorm<cpu>::apply<float>(kCheckRows, d.cols, x.data(), mean.data(),
                                          inverse_sd.data(), gain.data(), to_floats(d.bias).data(),
                                          y.data());
        ops::Pointwise<cpu>::relu_backward<float>(y.size(), y.data(), dy.data(), dy.data());
        std::vector<float> d_gain(d.cols, 0.0F);
        std::vector<float> d_bias(d.cols, 0.0F);
        ops::BatchNorm<cpu>::backward<float>(kCheckRows, d.cols, x.data(), mean.data(),
                                             inverse_sd.data(), gain.data(), dy.data(), dx,
                                             d_gain.data(), d_bias.data(), true);
      });
}

template <class P>
void add_elementwise() {
  using T = typename P::storage;
  using Data = RowsCase<P>;
  constexpr RandomKey kKey{17, 3, 5};
  add_rows<P>(
      "gelu2", kGptChannels, 2,
      [](Data& d, std::size_t rows) {
        ops::Pointwise<cuda>::gelu2<T>(rows * d.cols, d.x.data(), d.y.data());
      },
      [](Data& d, float* y) {
        ops::Pointwise<cpu>::gelu2<float>(kCheckRows * d.cols, d.first(d.x).data(), y);
      });
  add_rows<P>(
      "dropout", kGptChannels, 2,
      [kKey](Data& d, std::size_t rows) {
        ops::Pointwise<cuda>::dropout<T>(rows * d.cols, kDropout, kKey, d.x.data(), d.y.data());
      },
      [kKey](Data& d, float* y) {
        ops::Pointwise<cpu>::dropout<float>(kCheckRows * d.cols, kDropout, kKey,
                                            d.first(d.x).data(), y);
      });
}

/// Loss and gradient: logits read, gradients written.
template <class P>
void cross_entropy(benchmark::State& state) {
  using T = typename P::storage;
  auto& data = use<P>(kClasses);
  std::vector<std::int32_t> targets(kRows);
  for (std::size_t r = 0; r < kRows; ++r) targets[r] = static_cast<std::int32_t>(r % kClasses);
  const DeviceBuffer<std::int32_t> target(targets);
  DeviceBuffer<double> loss(1);
  const auto run = [&](std::size_t rows) {
    ops::Loss<cuda>::cross_entropy<T>(rows, kClasses, data.x.data(), target.data(), data.y.data(),
                                      loss.data());
  };
  data.y = poisoned<T>(data.y.size());
  run(kCheckRows);
  std::vector<float> expected(kCheckRows * kClasses);
  double expected_loss = 0;
  ops::Loss<cpu>::cross_entropy<float>(kCheckRows, kClasses, data.first(data.x).data(),
                                       targets.data(), expected.data(), &expected_loss);
  data.require(expected, "cross entropy's gradient");
  require_agreement({static_cast<float>(loss.download()[0])}, {static_cast<float>(expected_loss)},
                    kTolerance<P>, "cross entropy");
  time(state, work_of<P>(kClasses, 2), [&] { run(kRows); });
}

/// Adam over the GPT's parameters.
template <class P>
struct AdamCase : Case {
  using T = typename P::storage;
  static constexpr bool kHasCopies = !std::is_same_v<T, float>;
  static constexpr std::size_t kParameters = 41'852'832;  // of the GPT of the study's table (c)
  static constexpr std::size_t kChecked = 100'000;

  void run(std::size_t n) {
    if constexpr (kHasCopies) {
      ops::Adam<cuda>::update(n, step, gradient.data(), parameter.data(), first.data(),
                              second.data(), nullptr, weights.data());
    } else {
      ops::Adam<cuda>::update(n, step, gradient.data(), parameter.data(), first.data(),
                              second.data(), nullptr);
    }
  }
  void check() {
    const auto host_gradient = to_floats(gradient, kChecked);
    auto host_parameter = to_floats(parameter, kChecked);
    auto host_first = to_floats(first, kChecked);
    auto host_second = to_floats(second, kChecked);
    ops::Adam<cpu>::update<float>(kChecked, step, host_gradient.data(), host_parameter.data(),
                                  host_first.data(), host_second.data(), nullptr);
    run(kChecked);
    require_agreement(to_floats(parameter, kChecked), host_parameter, kTolerance<fp32>, "Adam");
  }

  ops::AdamStep step;
  DeviceBuffer<float> gradient = normal_on_device<float>(kParameters, "gradient");
  DeviceBuffer<float> parameter = normal_on_device<float>(kParameters, "parameter");
  DeviceBuffer<float> first = normal_on_device<float>(kParameters, "first moment");
  DeviceBuffer<float> second{std::vector<float>(kParameters, 1.0F)};
  DeviceBuffer<T> weights{kHasCopies ? kParameters : 0};
};

/// Gradient, parameter and both moments are read, the last three and the 16-bit copy written.
template <class P>
void adam(benchmark::State& state) {
  using Data = AdamCase<P>;
  auto& data = use_case<Data>(name_of<P>("adam", ""), [] { return std::make_unique<Data>(); });
  if (data.first_time("check")) data.check();
  const double copies = Data::kHasCopies ? sizeof(typename P::storage) : 0;
  time(state, {.bytes = static_cast<double>(Data::kParameters) * (7 * sizeof(float) + copies)},
       [&] { data.run(Data::kParameters); });
}

}  // namespace

void register_benchmarks() {
  for_storage_types([](auto precision) {
    using P = decltype(precision);
    add_layer_norm<P>();
    add_elementwise<P>();
    add_batch_norm<P>();
    add(name_of<P>("cross_entropy", shape_of(kClasses)) + "ours", cross_entropy<P>);
    add(name_of<P>("adam", "41852832") + "ours", adam<P>);
  });
}

}  // namespace vid2vox::bench
