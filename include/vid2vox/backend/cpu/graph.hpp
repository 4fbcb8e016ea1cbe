#pragma once

#include <string>

#include "vid2vox/ops/graph.hpp"

namespace VID2VOX::ops {

/// The CPU calls an operation for nothing: every run calls the body.
template <>
class StepGraph<cpu> {
 public:
  explicit StepGraph(bool /*record*/) {}

  template <class Body>
  void run(const Body& body) {
    body();
  }
  [[nodiscard]] static bool recorded() { return false; }
  [[nodiscard]] static std::string problem() { return {}; }
};

}  // namespace VID2VOX::ops
