// The second convolution is made for another channel count than the first one gives.
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/layers/conv3d.hpp"
#include "vid2vox/layers/sequential.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
#ifdef WRONG
constexpr int kSecondInput = 24;
#else
constexpr int kSecondInput = 16;
#endif

using Model = vid2vox::Sequential<vid2vox::Conv3d<3, 16, vid2vox::Conv3dConfig{}, Cpu>,
                                  vid2vox::Conv3d<kSecondInput, 8, vid2vox::Conv3dConfig{}, Cpu>>;
constexpr vid2vox::SampleShape kClip{.t = 4, .h = 8, .w = 8, .c = 3};
static_assert(Model::output_shape<kClip>().c == 8);
