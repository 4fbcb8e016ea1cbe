#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/layers/layer.hpp"

namespace VID2VOX {

struct GradientCheckOptions {
  std::size_t batch = 2;
  bool training = false;         // batch statistics, dropout
  bool shared_position = false;  // give the layer's context a position embedding of its input shape
  std::uint64_t seed = 1;
  double step = 1e-6;        // of the central differences
  std::size_t samples = 64;  // elements drawn from each tensor; 0: all of them
};

/// What check_gradients found. The error of an element is |numeric - analytic| / max(1, largest
/// |analytic| of its tensor): relative for tensors with large gradients, absolute for tensors whose
/// gradients are rounding.
struct GradientReport {
  double worst_error = 0;
  std::string worst_tensor;       // "x", "memory", "shared position" or a parameter's name
  std::size_t worst_element = 0;  // in PyTorch's order for parameters
  double analytic = 0;            // both derivatives of that element
  double numeric = 0;
  std::size_t checked = 0;            // elements compared
  std::vector<std::string> problems;  // broken promises of the Layer contract

  [[nodiscard]] bool passes(double tolerance) const {
    return checked > 0 && problems.empty() && worst_error <= tolerance;
  }
  [[nodiscard]] std::string text() const {
    std::string result = "worst error " + std::to_string(worst_error) + " at " + worst_tensor +
                         "[" + std::to_string(worst_element) + "]: analytic " +
                         std::to_string(analytic) + ", numeric " + std::to_string(numeric) + "; " +
                         std::to_string(checked) + " elements checked";
    for (const auto& problem : problems) result += "; " + problem;
    return result;
  }
};

namespace internal {

/// A layer without its type: what a gradient check calls, so that the check compiles once.
struct LayerUnderCheck {
  using Context = vid2vox::Context<double>;
  using State = vid2vox::State<double>;
  std::size_t x_size = 0;  // elements of a batch
  std::size_t y_size = 0;
  std::size_t memory_size = 0;
  std::size_t saved_size = 0;
  std::size_t scratch_size = 0;
  std::size_t parameter_size = 0;
  std::size_t buffer_size = 0;
  std::vector<TensorInfo> tensors;
  std::function<void(double* parameters, double* buffers, std::uint64_t seed)> initialize;
  std::function<void(Context&, const State&, const double* x, double* y, double* saved,
                     const double* memory)>
      forward;
  std::function<void(Context&, const State&, const double* x, const double* saved, const double* dy,
                     double* dx, double* gradients, const double* memory, double* d_memory)>
      backward;
};

/// An array between the values of whose borders nothing may write: NaN inside, a mark behind.
class GuardedArray {
 public:
  explicit GuardedArray(std::size_t count) : values_(count + kGuard, kMark), count_(count) {}
  double* poisoned() {
    std::fill_n(values_.data(), count_, std::numeric_limits<double>::quiet_NaN());
    return values_.data();
  }
  [[nodiscard]] double* data() { return values_.data(); }
  [[nodiscard]] bool intact() const {
    return std::all_of(values_.begin() + count_, values_.end(),
                       [](double value) { return value == kMark; });
  }

 private:
  static constexpr std::size_t kGuard = 16;
  static constexpr double kMark = 12345;
  Buffer<double> values_;
  std::size_t count_;
};

/// One gradient check: a random point, the loss sum(r * y) with random r, and its derivatives.
class GradientCheck {
 public:
  GradientCheck(const LayerUnderCheck& layer, const GradientCheckOptions& options)
      : layer_(layer),
        options_(options),
        parameters_(layer.parameter_size),
        start_buffers_(layer.buffer_size),
        buffers_(layer.buffer_size),
        x_(random(layer.x_size, "x")),
        weights_(random(layer.y_size, "loss")),
        memory_(random(layer.memory_size, "memory")),
        position_(random(options.shared_position ? layer.x_size / options.batch : 0, "position")),
        y_(layer.y_size),
        saved_(layer.saved_size),
        scratch_(layer.scratch_size) {
    layer_.initialize(parameters_.data(), start_buffers_.data(), options.seed);
    for (const TensorInfo& info : layer_.tensors) leave_symmetric_point(info);
  }

  GradientReport run() {
    Gradients once(*this);
    forward();
    backward(once, once.x.data());
    check_contract(once);
    compare("x", x_.data(), once.x.data(), x_.size(), identity);
    compare("memory", memory_.data(), once.memory.data(), memory_.size(), identity);
    compare("shared position", position_.data(), once.position.data(), position_.size(), identity);
    for (const TensorInfo& info : layer_.tensors) {
      if (info.storage == TensorInfo::Storage::kBuffer) continue;
      std::vector<std::size_t> offsets(info.size());
      for_each_element(
          info, [&](std::size_t position, std::size_t offset) { offsets[position] = offset; });
      compare(info.name, parameters_.data(), once.parameters.data(), info.size(),
              [&](std::size_t i) { return offsets[i]; });
    }
    return report_;
  }

 private:
  struct Gradients {
    explicit Gradients(const GradientCheck& check)
        : x(check.x_.size()),
          memory(check.memory_.size()),
          position(check.position_.size()),
          parameters(check.parameters_.size()) {}
    Buffer<double> x;
    Buffer<double> memory;
    Buffer<double> position;
    Buffer<double> parameters;
  };

  static std::size_t identity(std::size_t i) { return i; }

  [[nodiscard]] Buffer<double> random(std::size_t count, const char* stream) const {
    const RandomKey key{options_.seed, 0, stream_of(stream)};
    Buffer<double> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = key.normal(i);
    return values;
  }

  /// Gains of one, biases of zero and running statistics of a new model hide mistakes.
  void leave_symmetric_point(const TensorInfo& info) {
    constexpr double kConstants = 0.3;
    constexpr double kOfScale = 0.1;
    const bool is_parameter = info.storage == TensorInfo::Storage::kParameter;
    if (info.file_type == TensorInfo::FileType::kInt64) return;
    double* base = is_parameter ? parameters_.data() : start_buffers_.data();
    const double scale =
        info.initializer.scale > 0 ? kOfScale * info.initializer.scale : kConstants;
    const RandomKey key{options_.seed, 1, stream_of(info.name)};
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      // Bounded, so that a running variance of one stays positive.
      base[offset] += scale * (2 * key.uniform(position) - 1);
    });
  }

  [[nodiscard]] LayerUnderCheck::Context context() {
    LayerUnderCheck::Context result;
    result.batch = options_.batch;
    result.training = options_.training;
    result.seed = options_.seed;
    result.scratch = Workspace<double>(scratch_.poisoned(), layer_.scratch_size);
    if (position_.size() > 0) result.shared_position = position_.data();
    return result;
  }

  /// The loss, from the starting buffers: a forward pass in training moves running statistics.
  double forward() {
    std::copy(start_buffers_.begin(), start_buffers_.end(), buffers_.begin());
    auto with = context();
    double* y = y_.poisoned();
    layer_.forward(with, {parameters_.data(), buffers_.data()}, x_.data(), y, saved_.poisoned(),
                   memory_.data());
    double loss = 0;
    for (std::size_t i = 0; i < layer_.y_size; ++i) loss += weights_[i] * y[i];
    return loss;
  }

  void backward(Gradients& gradients, double* dx) {
    auto with = context();
    if (position_.size() > 0) with.shared_position_gradient = gradients.position.data();
    std::fill_n(dx, dx == nullptr ? 0 : x_.size(), std::numeric_limits<double>::quiet_NaN());
    layer_.backward(with, {parameters_.data(), buffers_.data()}, x_.data(), saved_.data(),
                    weights_.data(), dx, gradients.parameters.data(), memory_.data(),
                    gradients.memory.data());
  }

  /// Gradients are added to; dx is overwritten and may be null; nothing is written past an array.
  void check_contract(const Gradients& once) {
    Gradients twice = once;
    backward(twice, twice.x.data());
    Gradients without_dx(*this);
    backward(without_dx, nullptr);
    const auto expect = [&](const Buffer<double>& a, double factor, const Buffer<double>& b,
                            const char* promise) {
      constexpr double kRounding = 1e-12;
      double largest = 1;
      for (const double value : b) largest = std::max(largest, std::abs(value));
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::abs(a[i] - factor * b[i]) <= kRounding * largest) continue;
        report_.problems.push_back(promise + (" (element " + std::to_string(i) + ")"));
        return;
      }
    };
    expect(twice.x, 1, once.x, "dx is not overwritten");
    expect(twice.parameters, 2, once.parameters, "gradients do not accumulate");
    expect(twice.memory, 2, once.memory, "d_memory does not accumulate");
    expect(twice.position, 2, once.position, "the position's gradient does not accumulate");
    expect(without_dx.parameters, 1, once.parameters, "gradients differ where dx is null");
    expect(without_dx.memory, 1, once.memory, "d_memory differs where dx is null");
    expect(without_dx.position, 1, once.position, "the position's gradient differs without dx");
    if (!y_.intact() || !saved_.intact() || !scratch_.intact()) {
      report_.problems.emplace_back("the layer writes past the end of y, saved or scratch");
    }
  }

  /// `values` at offset(i) against `gradient` there, for all or some i below `count`.
  template <class Offset>
  void compare(const std::string& name, double* values, const double* gradient, std::size_t count,
               const Offset& offset) {
    double largest = 1;
    for (std::size_t i = 0; i < count; ++i) {
      largest = std::max(largest, std::abs(gradient[offset(i)]));
    }
    std::vector<std::size_t> elements(count);
    std::iota(elements.begin(), elements.end(), std::size_t{0});
    if (options_.samples > 0 && options_.samples < count) {
      shuffle(elements, {options_.seed, 2, stream_of(name)});
      elements.resize(options_.samples);
    }
    for (const std::size_t element : elements) {
      double& value = values[offset(element)];
      const double before = value;
      value = before + options_.step;
      const double above = forward();
      value = before - options_.step;
      const double below = forward();
      value = before;
      const double numeric = (above - below) / (2 * options_.step);
      record(name, element, gradient[offset(element)], numeric, largest);
    }
  }

  void record(const std::string& name, std::size_t element, double analytic, double numeric,
              double largest) {
    const double difference = std::abs(numeric - analytic) / largest;
    const double error =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    ++report_.checked;
    if (report_.checked > 1 && error <= report_.worst_error) return;
    report_.worst_error = error;
    report_.worst_tensor = name;
    report_.worst_element = element;
    report_.analytic = analytic;
    report_.numeric = numeric;
  }

  const LayerUnderCheck& layer_;
  GradientCheckOptions options_;
  Buffer<double> parameters_;
  Buffer<double> start_buffers_;
  Buffer<double> buffers_;
  Buffer<double> x_;
  Buffer<double> weights_;  // of y in the loss
  Buffer<double> memory_;
  Buffer<double> position_;
  GuardedArray y_;
  GuardedArray saved_;
  GuardedArray scratch_;
  GradientReport report_;
};

template <Layer L, SampleShape S, std::size_t Memory>
LayerUnderCheck layer_under_check(std::size_t batch) {
  using Context = LayerUnderCheck::Context;
  using State = LayerUnderCheck::State;
  LayerUnderCheck layer{.x_size = batch * S.size(),
                        .y_size = batch * L::template output_shape<S>().size(),
                        .memory_size = batch * Memory,
                        .saved_size = L::template saved_count<S>(batch),
                        .scratch_size = L::template scratch_count<S>(batch),
                        .parameter_size = L::parameter_count,
                        .buffer_size = L::buffer_count,
                        .tensors = tensor_list<L>(),
                        .initialize = initialize<L, double>,
                        .forward = {},
                        .backward = {}};
  layer.forward = [](Context& context, const State& state, const double* x, double* y,
                     double* saved, [[maybe_unused]] const double* memory) {
    if constexpr (Memory > 0) {
      L::template forward<S>(context, state, x, y, saved, memory);
    } else {
      L::template forward<S>(context, state, x, y, saved);
    }
  };
  layer.backward = [](Context& context, const State& state, const double* x, const double* saved,
                      const double* dy, double* dx, double* gradients,
                      [[maybe_unused]] const double* memory, [[maybe_unused]] double* d_memory) {
    if constexpr (Memory > 0) {
      L::template backward<S>(context, state, x, saved, dy, dx, gradients, memory, d_memory);
    } else {
      L::template backward<S>(context, state, x, saved, dy, dx, gradients);
    }
  };
  return layer;
}

}  // namespace internal

/// Compares the gradients of a layer with central differences, in float64: dx, every parameter, and
/// where the layer has them its second input ([batch, Memory] elements, `Memory` in one sample) and
/// the shared position embedding. The loss is sum(r * y) with random r, at random input and
/// parameters. Also checks what Layer promises: gradients accumulate, dx is overwritten and may be
/// null, saved and scratch counts suffice; outputs, saved and scratch are NaN before every call. A
/// kink (ReLU) within the step of the random point gives a false alarm; another seed tells.
template <Layer L, SampleShape S, std::size_t Memory = 0>
GradientReport check_gradients(const GradientCheckOptions& options = {}) {
  static_assert(std::is_same_v<Scalar<typename L::policy>, double>,
                "vid2vox::check_gradients: the layer must be of Policy<fp64, ...>");
  const auto layer = internal::layer_under_check<L, S, Memory>(options.batch);
  return internal::GradientCheck(layer, options).run();
}

}  // namespace VID2VOX
