// A model for the GPU where only the CPU's operations are included.
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/layers/linear.hpp"

#ifdef WRONG
using Where = vid2vox::cuda;
#else
using Where = vid2vox::cpu;
#endif

using Model = vid2vox::Linear<4, 2, vid2vox::LinearConfig{}, vid2vox::Policy<vid2vox::fp32, Where>>;
constexpr vid2vox::SampleShape kToken{.t = 1, .h = 1, .w = 1, .c = 4};

void run(vid2vox::Context<float>& context, const float* parameters, const float* x, float* y) {
  Model::forward<kToken>(context, {parameters, nullptr}, x, y, nullptr);
}
