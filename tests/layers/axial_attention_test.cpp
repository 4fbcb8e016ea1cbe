#include "vid2vox/layers/axial_attention.hpp"

#include "layers/gradients.hpp"
#include "support/reference.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"

namespace vid2vox {
namespace {

using testing::channels_last;
using testing::Double;
using testing::relative_error;
using testing::require_gradients;

TEST_CASE("AxialAttention: gradients, without and with a shared position embedding") {
  using Axial = AxialAttention<4, 2, Double>;
  constexpr SampleShape kShape{2, 3, 2, 4};
  require_gradients<Axial, kShape>();
  require_gradients<Axial, kShape>({.shared_position = true});
}

/// The reference's one pass: values, gradient of the input and of every parameter.
template <class ThePolicy>
void check_reference(double activation, double gradient) {
  using Axial = AxialAttention<24, 2, ThePolicy>;
  using T = Scalar<ThePolicy>;
  constexpr SampleShape kShape{4, 3, 5, 24};
  constexpr std::size_t kBatch = 2;
  constexpr T kPoison = std::numeric_limits<T>::quiet_NaN();
  const ThreadCountScope one(1);
  const io::SafetensorsFile file(testing::reference_file("axial_block.safetensors"));
  Buffer<T> parameters(Axial::parameter_count, kPoison);
  StateDictReader reader(file);
  reader.load<Axial>("state.", parameters.data(), static_cast<T*>(nullptr));
  reader.require_all_used("state.");
  Context<T> context;
  context.batch = kBatch;
  Buffer<T> scratch(Axial::template scratch_count<kShape>(kBatch), kPoison);
  context.scratch = Workspace<T>(scratch.data(), scratch.size());
  Buffer<T> saved(Axial::template saved_count<kShape>(kBatch), kPoison);
  const auto x = channels_last<T>(file, "x");
  const auto grad_y = channels_last<T>(file, "grad_y");
  Buffer<T> y(x.size(), kPoison);
  Buffer<T> dx(x.size(), kPoison);
  Buffer<T> gradients(Axial::parameter_count);
  const State<T> state{parameters.data(), nullptr};
  Axial::template forward<kShape>(context, state, x.data(), y.data(), saved.data());
  const auto expected_y = channels_last<double>(file, "y");
  CHECK(relative_error(y.data(), expected_y.data(), y.size()) <= activation);
  scratch.fill(kPoison);
  Axial::template backward<kShape>(context, state, x.data(), saved.data(), grad_y.data(), dx.data(),
                                   gradients.data());
  const auto expected_dx = channels_last<double>(file, "grad_x");
  CHECK(relative_error(dx.data(), expected_dx.data(), dx.size()) <= gradient);
  testing::check_tensors<Axial>(file, "grad.", gradients.data(), static_cast<const T*>(nullptr),
                                gradient, 0.0, false);
}

TEST_CASE("AxialAttention equals the reference") {
  check_reference<testing::Single>(1e-4, 1e-3);
  // In float64 only the rounding of the reference itself is left.
  check_reference<Double>(1e-5, 1e-5);
}

}  // namespace
}  // namespace vid2vox
