#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/model_state.hpp"

namespace VID2VOX {

/// How the next code is chosen from its logits.
struct SamplingOptions {
  bool greedy = false;       // the most likely code, the lowest on ties
  double temperature = 1.0;  // divides the logits
  int top_k = 0;             // draw among the k most likely codes; 0: all
  std::uint64_t seed = 0;
};

/// Draws from softmax(logits / temperature) among the top k. Position and batch element address the
/// random number, so a draw does not depend on what else is drawn.
template <class T>
std::int32_t draw_code(std::span<const T> logits, const SamplingOptions& options,
                       std::uint64_t position, std::uint32_t element) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (options.greedy) return static_cast<std::int32_t>(largest - logits.begin());
  if (!(options.temperature > 0)) {
    throw Error("the temperature must be positive", "sampling", "use greedy sampling instead of 0");
  }
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < order.size()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    order.resize(static_cast<std::size_t>(options.top_k));
  }
  std::vector<double> cumulative(order.size());
  double total = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    total += std::exp(static_cast<double>(logits[order[i]] - *largest) / options.temperature);
    cumulative[i] = total;
  }
  const RandomKey key{options.seed, position, stream_of("sampling")};
  const double target = key.uniform(element) * total;
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), target);
  const auto index =
      std::min<std::size_t>(static_cast<std::size_t>(found - cumulative.begin()), order.size() - 1);
  return static_cast<std::int32_t>(order[index]);
}

/// Token-by-token decoding with cached keys and values; the memory's keys and values are computed
/// once, and the weights are copied once to where products with few rows read them fastest.
template <GptConfig C, class ThePolicy>
class GptDecoder {
 public:
  using Model = Gpt<C, ThePolicy>;
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  using Block = typename Model::PlainBlock;

  /// previous: [batch, t, h, w, embedding_dim], the clip that conditions. `state` and the
  /// codebook must outlive the decoder. All on the device.
  GptDecoder(std::size_t batch, State<T> state, typename Model::Codebook codebook,
             const T* previous)
      : state_(state),
        codebook_(codebook),
        weights_(Product::kArranges ? Model::parameter_count : 0),
        cache_(kLayers * Block::Self::cache_count(batch, Model::kTokens)),
        memory_kv_(kLayers * Block::Cross::memory_kv_count(batch)),
        scratch_(scratch_count(batch)) {
    context_.batch = batch;
    context_.scratch = Workspace<T>(scratch_.data(), scratch_.size());
    for (auto* array : {&weights_, &cache_, &memory_kv_}) {
      Memory::will_stream(array->size(), array->data());
    }
    DeviceArray<ThePolicy, T> memory(batch * Model::kMemory.size());
    DeviceArray<ThePolicy, T> saved(Model::resnet_saved_count(batch));
    Model::compute_memory(context_, state_, previous, memory.data(), saved.data());
    DeviceArray<ThePolicy, T> work(Block::Cross::memory_kv_count(batch));
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      Block::Cross::arrange_memory(batch, cross_state(layer), memory.data(), memory_kv(layer),
                                   work.data());
    }
    arrange_weights();
  }

  [[nodiscard]] std::size_t position() const { return position_; }

  /// Logits [batch, n_codes] of the next position. `last`: the codes [batch] chosen for the
  /// position before; ignored at position 0. Both on the device. Throws Error after the last
  /// position.
  void step(const std::int32_t* last, T* logits) {
    if (position_ == Model::kTokens) {
      throw Error("all positions of the clip are decoded", "GptDecoder", "make a new decoder");
    }
    const typename Workspace<T>::Mark mark(context_.scratch);
    const std::size_t batch = context_.batch;
    T* x = context_.scratch.take(batch * Model::kDim);
    embed(last, x);
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      const State<T> block = state_.at(Model::kStack + layer * Block::parameter_count, 0);
      Block::decode(context_, block, position_, Model::kTokens, x, x,
                    cache_.data() + layer * Block::Self::cache_count(batch, Model::kTokens),
                    memory_kv(layer));
    }
    Model::FinalNorm::forward_rows(batch, state_.at(Model::kNorm, 0), x, x);
    Model::FcOut::decode(batch, state_.at(Model::kFcOutWeight, 0), x, logits);
    ++position_;
  }

  /// Decodes a whole clip. codes: [batch, t, h, w]; logits: [batch, t*h*w, n_codes] or null; both
  /// on the host.
  void decode_clip(const SamplingOptions& options, std::int32_t* codes, A* logits) {
    const std::size_t batch = context_.batch;
    std::vector<std::int32_t> last(batch, 0);
    DeviceArray<ThePolicy, std::int32_t> last_on_device(batch);
    DeviceArray<ThePolicy, T> step_logits(batch * Model::kClasses);
    while (position_ < Model::kTokens) {
      const std::size_t at = position_;
      Memory::upload(batch, last.data(), last_on_device.data());
      step(last_on_device.data(), step_logits.data());
      const Buffer<A> values = to_host<ThePolicy>(step_logits.size(), step_logits.data());
      for (std::size_t b = 0; b < batch; ++b) {
        const std::span<const A> row(values.data() + b * Model::kClasses, Model::kClasses);
        last[b] = draw_code(row, options, at, static_cast<std::uint32_t>(b));
        codes[b * Model::kTokens + at] = last[b];
        if (logits != nullptr) {
          std::copy(row.begin(), row.end(), logits + (b * Model::kTokens + at) * Model::kClasses);
        }
      }
    }
  }

 private:
  using device = typename ThePolicy::device;
  using Memory = ops::Memory<device>;
  using Product = ops::StreamedProduct<device>;
  static constexpr std::size_t kLayers = static_cast<std::size_t>(C.layers);

  static std::size_t scratch_count(std::size_t batch) {
    return std::max(aligned_count(batch * Model::kDim) + Block::decode_scratch_count(batch),
                    Model::Resnet::template scratch_count<Model::kCodes>(batch)) +
           aligned_count(batch * Model::kEmbedding);
  }
  /// From here on state_ has the weights that decoding reads, arranged, and no others.
  void arrange_weights() {
    if constexpr (Product::kArranges) {
      const auto arrange = [&](std::size_t offset, std::size_t rows, std::size_t cols) {
        Product::template arrange<T>({state_.weights + offset, rows, cols},
                                     weights_.data() + offset);
      };
      Model::FcIn::visit_streamed(Model::kFcInWeight, arrange);
      for (std::size_t layer = 0; layer < kLayers; ++layer) {
        Block::visit_streamed(Model::kStack + layer * Block::parameter_count, arrange);
      }
      Model::FcOut::visit_streamed(Model::kFcOutWeight, arrange);
      state_.weights = weights_.data();
    }
  }
  T* memory_kv(std::size_t layer) {
    return memory_kv_.data() + layer * Block::Cross::memory_kv_count(context_.batch);
  }
  [[nodiscard]] State<T> cross_state(std::size_t layer) const {
    return Block::CrossPart::inner_state(
        state_.at(Model::kStack + layer * Block::parameter_count + Block::kCrossOffset, 0));
  }
  void embed(const std::int32_t* last, T* x) {
    const typename Workspace<T>::Mark mark(context_.scratch);
    const std::size_t batch = context_.batch;
    if (position_ == 0) {
      ops::Embedding<device>::shift_right(batch, 1, Model::kDim, state_.parameters + Model::kStart,
                                          static_cast<const T*>(x), x);
    } else {
      T* tokens = context_.scratch.take(batch * Model::kEmbedding);
      ops::Codebook<device>::gather(batch, Model::kEmbedding, last, codebook_.data, tokens);
      Model::FcIn::decode(batch, state_.at(Model::kFcInWeight, 0), tokens, x);
    }
    Model::Position::add_token(state_.at(Model::kPosition, 0), batch, position_, x, x);
  }

  State<T> state_;
  typename Model::Codebook codebook_;
  DeviceArray<ThePolicy, T> weights_;    // as state_.weights
  DeviceArray<ThePolicy, T> cache_;      // [layers, keys, then values, of the tokens before]
  DeviceArray<ThePolicy, T> memory_kv_;  // [layers, keys, then values, of the memory]
  DeviceArray<ThePolicy, T> scratch_;
  Context<T> context_;
  std::size_t position_ = 0;
};

}  // namespace VID2VOX
