// One program of units that are compiled for different instruction sets: each keeps its own inline
// code, whichever the linker meets first.
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "packaging/instruction_sets/unit.hpp"
#include "support/catch.hpp"

namespace {

using instruction_sets::Unit;

struct Level {
  Unit unit;
  std::size_t vector_bytes;
  bool runs_here;
};

std::vector<Level> levels() {
  std::vector<Level> result{{instruction_sets::baseline_unit(), 16, true}};
#if defined(VID2VOX_HAS_V3)
  // Of x86-64-v3 and x86-64-v4: processors with these have the rest.
  const bool v3 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                  __builtin_cpu_supports("bmi2") != 0;
  result.push_back({instruction_sets::v3_unit(), 32, v3});
#endif
#if defined(VID2VOX_HAS_V4)
  const bool v4 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  result.push_back({instruction_sets::v4_unit(), 64, v4});
#endif
  return result;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("units for different instruction sets share no inline function") {
  const auto all = levels();
  REQUIRE(all.size() >= 2);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      INFO(all[i].unit.name << " and " << all[j].unit.name);
      CHECK(all[i].unit.name != all[j].unit.name);
      CHECK(all[i].unit.function != all[j].unit.function);
    }
  }
}

TEST_CASE("each unit computes the right values with vectors of its own width") {
  const auto all = levels();
  const auto expected = all[0].unit.compute_in_float64();
  REQUIRE_FALSE(expected.reconstruction.empty());
  for (const Level& level : all) {
    if (!level.runs_here) {
      WARN("not run on this processor: " << level.unit.name);
      continue;
    }
    INFO(level.unit.name);
    const auto result = level.unit.compute();
    CHECK(result.vector_bytes == level.vector_bytes);
    CHECK(result.product_error < 1e-6);
    CHECK(result.softmax_error < 1e-6);
    REQUIRE(result.reconstruction.size() == expected.reconstruction.size());
    CHECK(relative_error(result.reconstruction, expected.reconstruction) < 1e-4);
  }
}
