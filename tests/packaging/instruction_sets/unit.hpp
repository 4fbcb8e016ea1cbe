#pragma once

#include <cstddef>
#include <string>
#include <vector>

// What one unit of a program computes with the instruction set that it is compiled for.

namespace instruction_sets {

struct UnitResult {
  std::size_t vector_bytes = 0;
  double product_error = 0;            // of a packed product, relative to plain loops in float64
  double softmax_error = 0;            // largest, of a row's softmax
  std::vector<double> reconstruction;  // of a small VQ-VAE
};

/// A unit of the program, one for each instruction set.
struct Unit {
  std::string name;      // of the instruction set
  const void* function;  // address of an inline function of the library, as the unit calls it
  UnitResult (*compute)();
  UnitResult (*compute_in_float64)();
};

Unit baseline_unit();
Unit v3_unit();
Unit v4_unit();

}  // namespace instruction_sets
