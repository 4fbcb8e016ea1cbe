// Axial attention heads that do not divide the channels.
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/layers/axial_attention.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
#ifdef WRONG
constexpr int kHeads = 7;
#else
constexpr int kHeads = 2;
#endif

static_assert(vid2vox::AxialAttention<48, kHeads, Cpu>::parameter_count > 0);
