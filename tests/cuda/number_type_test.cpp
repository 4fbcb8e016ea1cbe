#include "vid2vox/backend/cuda/runtime/number_type.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/half.hpp"

using namespace vid2vox;

TEST_CASE("kernels name the types of numbers") {
  CHECK(number_type_of<float> == NumberType::kFloat32);
  CHECK(number_type_of<const float> == NumberType::kFloat32);
  CHECK(number_type_of<bfloat16> == NumberType::kBfloat16);
  CHECK(number_type_of<float16> == NumberType::kFloat16);
  CHECK(size_of(NumberType::kFloat32) == 4);
  CHECK(size_of(NumberType::kBfloat16) == 2);
  CHECK(size_of(NumberType::kFloat16) == 2);
}
