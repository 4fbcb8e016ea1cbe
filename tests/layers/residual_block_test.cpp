#include "vid2vox/layers/residual_block.hpp"

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/layers/repeat.hpp"

namespace vid2vox {
namespace {

using testing::Double;
using testing::require_gradients;
using testing::same_bits;

constexpr SampleShape kShape{2, 2, 3, 4};
using BatchNormBlock = AttentionResidualBlock<4, 2, NormKind::kBatchNorm, Double>;
using LayerNormBlock = AttentionResidualBlock<4, 2, NormKind::kLayerNorm, Double>;

TEST_CASE("AttentionResidualBlock with batch norm: gradients in training and evaluation") {
  require_gradients<BatchNormBlock, kShape>({.training = true, .samples = 24});
  require_gradients<BatchNormBlock, kShape>({.training = false, .samples = 24});
}

TEST_CASE("AttentionResidualBlock: gradients with either norm and a shared position") {
  require_gradients<BatchNormBlock, kShape>(
      {.training = true, .shared_position = true, .samples = 24});
  require_gradients<LayerNormBlock, kShape>({.shared_position = true, .samples = 24});
  require_gradients<LayerNormBlock, kShape>({.samples = 24});
}

TEST_CASE("AttentionResidualBlock: VideoGPT's names") {
  std::vector<std::string> names;
  for (const auto& info : tensor_list<BatchNormBlock>("block")) names.push_back(info.name);
  CHECK(names.front() == "block.0.weight");
  for (const char* name : {"block.2.conv.weight", "block.3.running_mean", "block.5.conv.weight",
                           "block.6.num_batches_tracked", "block.8.attn_t.fc.bias"}) {
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
}

TEST_CASE("ResidualBlock: gradients") { require_gradients<ResidualBlock<4, 3, Double>, kShape>(); }

using Stack = Repeat<2, BatchNormBlock>;
using Recomputed = Repeat<2, Recompute<BatchNormBlock>>;

TEST_CASE(
    "Recompute saves only the blocks' outputs and changes no bit, in batch norm's buffers too") {
  CHECK(Recomputed::saved_count<kShape>(3) < Stack::saved_count<kShape>(3) / 4);
  for (const bool training : {true, false}) {
    testing::LayerRun<Stack, kShape> plain(11, training);
    testing::LayerRun<Recomputed, kShape> recomputed(11, training);
    plain.forward();
    recomputed.forward();
    plain.backward();
    recomputed.backward();
    CHECK(same_bits(plain.y, recomputed.y));
    CHECK(same_bits(plain.dx, recomputed.dx));
    CHECK(same_bits(plain.gradients, recomputed.gradients));
    CHECK(same_bits(plain.buffers, recomputed.buffers));
    // Each of the two blocks' first norm has seen one batch.
    CHECK(plain.buffers[8] == (training ? 1 : 0));
  }
}

TEST_CASE("Repeat with Recompute: gradients") {
  require_gradients<Recomputed, kShape>({.training = true, .samples = 6});
}

}  // namespace
}  // namespace vid2vox
