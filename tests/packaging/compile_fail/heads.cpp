// Attention heads that do not divide the channels.
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/layers/multi_head_attention.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
#ifdef WRONG
constexpr int kHeads = 5;
#else
constexpr int kHeads = 4;
#endif

using Attention = vid2vox::MultiHeadSelfAttention<
    32, vid2vox::MultiHeadAttentionConfig{.heads = kHeads, .causal = true}, Cpu>;
static_assert(Attention::parameter_count > 0);
