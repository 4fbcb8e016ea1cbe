#include "vid2vox/layers/transformer_block.hpp"

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/layers/repeat.hpp"

namespace vid2vox {
namespace {

using testing::Double;
using testing::require_gradients;
using testing::same_bits;

constexpr int kDim = 8;
constexpr int kMemoryDim = 6;
constexpr int kMemoryTokens = 5;
constexpr std::size_t kMemory = kMemoryDim * kMemoryTokens;
constexpr SampleShape kShape{2, 2, 2, kDim};

constexpr MultiHeadAttentionConfig kCausal{
    .heads = 2, .causal = true, .dropout_percent = 30, .layers = 2};
constexpr MultiHeadAttentionConfig kCross{.heads = 2};
using Self = MultiHeadSelfAttention<kDim, kCausal, Double>;
using Cross = MultiHeadCrossAttention<kDim, kMemoryDim, kMemoryTokens, kCross, Double>;

TEST_CASE("MultiHeadSelfAttention: gradients, causal, without and with dropout") {
  require_gradients<Self, kShape>({.training = false});
  require_gradients<Self, kShape>({.training = true});
}

TEST_CASE("MultiHeadSelfAttention: a token does not see later ones") {
  testing::LayerRun<Self, kShape> run(3, false);
  run.forward();
  const Buffer<double> before = run.y;
  constexpr std::size_t kChanged = 5;
  run.x[kChanged * kDim] += 1;
  run.forward();
  CHECK(std::equal(before.begin(), before.begin() + kChanged * kDim, run.y.begin()));
  CHECK(before[kChanged * kDim] != run.y[kChanged * kDim]);
}

TEST_CASE("MultiHeadCrossAttention: gradients of both inputs") {
  require_gradients<Cross, kShape, kMemory>();
}

TEST_CASE("MultiHeadCrossAttention needs no gradient of the memory") {
  testing::LayerRun<Cross, kShape> run(3, true);
  Buffer<double> memory(run.kBatch * kMemory, 0.5);
  memory[1] = -2;
  Buffer<double> d_memory(memory.size());
  run.forward(static_cast<const double*>(memory.data()));
  run.backward(static_cast<const double*>(memory.data()), d_memory.data());
  const Buffer<double> dx = run.dx;
  run.backward(static_cast<const double*>(memory.data()), static_cast<double*>(nullptr));
  CHECK(same_bits(dx, run.dx));
  CHECK(d_memory[1] != 0);
}

/// PreNormResidual asks its owner for the names of its parts.
template <class Part>
struct NamedParts : Part {
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Part::visit_tensors(scope, "norm", "inner", visit);
  }
};

TEST_CASE("PreNormResidual: gradients with dropout") {
  using Inner = Linear<kDim, kDim, LinearConfig{}, Double>;
  require_gradients<NamedParts<PreNormResidual<kDim, Inner, 25, 1>>, kShape>({.training = true});
}

constexpr TransformerBlockConfig kBlock{.memory_dim = kMemoryDim,
                                        .memory_tokens = kMemoryTokens,
                                        .heads = 2,
                                        .layers = 2,
                                        .dropout_percent = 20,
                                        .attention_dropout_percent = 30};
using Block = TransformerBlock<kDim, kBlock, Double>;

TEST_CASE("TransformerBlock: gradients without and with dropout") {
  require_gradients<Block, kShape, kMemory>({.training = false, .samples = 16});
  require_gradients<Block, kShape, kMemory>({.training = true, .samples = 16});
}

using Stack = Repeat<2, Block>;
using Recomputed = Repeat<2, Recompute<Block>>;

template <class L>
struct StackRun : testing::LayerRun<L, kShape> {
  using Base = testing::LayerRun<L, kShape>;
  explicit StackRun(std::uint64_t step) : Base(7, true) {
    this->context.step = step;
    const RandomKey key{7, 0, stream_of("memory")};
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = key.normal(i);
    Base::forward(static_cast<const double*>(memory.data()));
    Base::backward(static_cast<const double*>(memory.data()), d_memory.data());
  }
  Buffer<double> memory{Base::kBatch * kMemory};
  Buffer<double> d_memory{Base::kBatch * kMemory};
};

TEST_CASE("Recompute draws the same dropout masks again") {
  const StackRun<Stack> plain(4);
  const StackRun<Recomputed> recomputed(4);
  CHECK(same_bits(plain.y, recomputed.y));
  CHECK(same_bits(plain.dx, recomputed.dx));
  CHECK(same_bits(plain.gradients, recomputed.gradients));
  CHECK(same_bits(plain.d_memory, recomputed.d_memory));
}

TEST_CASE("dropout masks change with the step") {
  const StackRun<Stack> one(4);
  const StackRun<Stack> other(5);
  CHECK_FALSE(same_bits(one.y, other.y));
}

TEST_CASE("dropout masks differ between blocks and sites") {
  Context<double> context;
  context.seed = 1;
  std::vector<std::uint32_t> words;
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    context.layer = layer;
    for (std::uint32_t site = 0; site < 4; ++site) {
      words.push_back(context.dropout_key(site).word(0));
    }
  }
  std::sort(words.begin(), words.end());
  CHECK(std::adjacent_find(words.begin(), words.end()) == words.end());
}

}  // namespace
}  // namespace vid2vox
