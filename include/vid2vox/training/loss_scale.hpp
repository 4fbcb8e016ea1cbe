#pragma once

#include <cstdint>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/policy.hpp"

namespace VID2VOX {

/// Dynamic loss scaling (Micikevicius et al. 2018, section 3.2): gradients of a loss multiplied by
/// `scale` stay above the smallest numbers of float16. A step whose gradients overflow is left out
/// and halves the scale; a run of good steps doubles it. Other precisions have the range of float32
/// and the constant scale 1.
class LossScale {
 public:
  static constexpr double kStart = 65536;
  static constexpr double kGrowth = 2;
  static constexpr double kBackoff = 0.5;
  static constexpr std::uint64_t kGrowthInterval = 2000;
  static constexpr double kSmallest = 1.0 / 65536;

  template <Precision P>
  static LossScale of() {
    return LossScale(std::is_same_v<P, fp16>);
  }
  explicit LossScale(bool dynamic) : dynamic_(dynamic), scale_(dynamic ? kStart : 1) {}

  [[nodiscard]] bool dynamic() const { return dynamic_; }
  [[nodiscard]] double scale() const { return scale_; }
  /// Steps since the scale changed or a step was left out.
  [[nodiscard]] std::uint64_t good_steps() const { return good_steps_; }

  /// After a step: whether its gradients were finite. Throws Error where they overflow at the
  /// smallest scale, or where the scale is constant.
  void update(bool finite, std::uint64_t step) {
    if (!finite) {
      if (!dynamic_ || scale_ <= kSmallest) {
        throw Error("a gradient is not a finite number", "training step " + std::to_string(step),
                    "lower the learning rate");
      }
      scale_ *= kBackoff;
      good_steps_ = 0;
    } else if (dynamic_ && ++good_steps_ == kGrowthInterval) {
      scale_ *= kGrowth;
      good_steps_ = 0;
    }
  }

  /// Goes on where another run stopped.
  void restore(double scale, std::uint64_t good_steps) {
    scale_ = scale;
    good_steps_ = good_steps;
  }

 private:
  bool dynamic_;
  double scale_;
  std::uint64_t good_steps_ = 0;
};

}  // namespace VID2VOX
