// A stack of no blocks.
#include "vid2vox/layers/activation.hpp"
#include "vid2vox/layers/repeat.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
#ifdef WRONG
constexpr int kBlocks = 0;
#else
constexpr int kBlocks = 1;
#endif

using Stack = vid2vox::Repeat<kBlocks, vid2vox::Relu<Cpu>>;
static_assert(Stack::parameter_count == 0);
