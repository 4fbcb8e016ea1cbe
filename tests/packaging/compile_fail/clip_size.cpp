// A clip of 30 rows under a convolution that halves, then halves again.
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/layers/conv3d.hpp"
#include "vid2vox/layers/sequential.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
constexpr vid2vox::Conv3dConfig kHalve{.kernel = {4, 4, 4}, .stride = {1, 2, 2}};
#ifdef WRONG
constexpr int kRows = 30;
#else
constexpr int kRows = 32;
#endif

using Model =
    vid2vox::Sequential<vid2vox::Conv3d<3, 8, kHalve, Cpu>, vid2vox::Conv3d<8, 8, kHalve, Cpu>>;
constexpr vid2vox::SampleShape kClip{.t = 4, .h = kRows, .w = 64, .c = 3};
static_assert(Model::output_shape<kClip>().w == 16);
