#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/clips.hpp"
#include "vid2vox/models/model_memory.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/ops/codebook.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX::pipeline {

/// Called as work goes on with what is done and what there is to do. It may throw to stop.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

/// A VQ-VAE that encodes and decodes clips given as bytes, some at a time. Model: Vqvae<...>.
template <class Model>
class ClipCodec {
 public:
  using ThePolicy = typename Model::policy;
  using T = typename Model::T;
  using A = typename Model::A;
  /// The most clips that are encoded or decoded at once.
  static constexpr std::size_t kBatch = 4;

  explicit ClipCodec(ModelState<ThePolicy> model) : model_(std::move(model)) {}

  /// Codes [n, t, h, w] of clips [n, clip], n <= kBatch. Throws Error for other sizes.
  void encode(std::span<const std::uint8_t> clips, std::span<std::int32_t> codes) {
    const std::size_t n = set_batch(clips.size(), Model::kClip.size(), "clips");
    check_size(codes.size(), n * Model::kLatent.tokens(), "codes");
    Memory::upload(clips.size(), clips.data(), bytes_.data());
    ops::Pointwise<device>::normalize_frames(
        clips.size(), static_cast<const std::uint8_t*>(bytes_.data()), clips_.data());
    Model::encode(memory_.context, model_.state(), clips_.data(), codes_.data(),
                  memory_.saved.data());
    Memory::download(Model::latent_rows(n), codes_.data(), codes.data());
  }

  /// Clips [n, clip] of codes [n, t, h, w], cut to the range of bytes; n <= kBatch. Throws Error
  /// for other sizes, and for codes that are not in the codebook.
  void decode(std::span<const std::int32_t> codes, std::span<std::uint8_t> clips) {
    const std::size_t n = set_batch(codes.size(), Model::kLatent.tokens(), "codes");
    check_size(clips.size(), n * Model::kClip.size(), "clips");
    check_codes(codes);
    Memory::upload(codes.size(), codes.data(), codes_.data());
    Model::decode(memory_.context, model_.state(), codes_.data(), clips_.data(),
                  memory_.saved.data());
    const Buffer<A> values = to_host<ThePolicy>(clips.size(), clips_.data());
    io::frames_to_bytes<A>(std::span<const A>(values.data(), values.size()), clips);
  }

  /// The codebook [n_codes, embedding_dim], on the device.
  [[nodiscard]] auto codebook() {
    return Model::Book::rows(model_.buffers.data() + Model::kBookBuffers);
  }

  /// e [n, t, h, w, embedding_dim] (on the device) of codes [n, t, h, w], n <= kBatch. Throws Error
  /// for other sizes, and for codes that are not in the codebook.
  void embed(std::span<const std::int32_t> codes, T* e) {
    set_batch(codes.size(), Model::kLatent.tokens(), "codes");
    check_codes(codes);
    Memory::upload(codes.size(), codes.data(), codes_.data());
    ops::Codebook<device>::gather(codes.size(), Model::Book::kDim,
                                  static_cast<const std::int32_t*>(codes_.data()), codebook().data,
                                  e);
  }

  [[nodiscard]] ModelState<ThePolicy>& model() { return model_; }

 private:
  using device = typename ThePolicy::device;
  using Memory = ops::Memory<device>;

  std::size_t set_batch(std::size_t size, std::size_t of_one, const char* what) {
    const std::size_t n = size / of_one;
    if (size % of_one != 0 || n == 0 || n > kBatch) {
      throw Error(std::to_string(size) + " numbers for " + what + " of " + std::to_string(of_one),
                  "ClipCodec", "give 1 to " + std::to_string(kBatch) + " whole " + what);
    }
    return memory_.context.batch = n;
  }
  static void check_size(std::size_t size, std::size_t expected, const char* what) {
    if (size == expected) return;
    throw Error("room for " + std::to_string(size) + " numbers of " + what + ", " +
                    std::to_string(expected) + " come out",
                "ClipCodec", "give an array of that size");
  }
  static void check_codes(std::span<const std::int32_t> codes) {
    const auto wrong = std::find_if(codes.begin(), codes.end(), [](std::int32_t code) {
      return code < 0 || static_cast<std::size_t>(code) >= Model::Book::kCodes;
    });
    if (wrong == codes.end()) return;
    throw Error("code " + std::to_string(*wrong) + " of a codebook of " +
                    std::to_string(Model::Book::kCodes),
                "position " + std::to_string(wrong - codes.begin()), "give codes of this model");
  }

  ModelState<ThePolicy> model_;
  ModelMemory<Model> memory_{kBatch};
  DeviceArray<ThePolicy, std::uint8_t> bytes_{kBatch * Model::kClip.size()};
  DeviceArray<ThePolicy, T> clips_{kBatch * Model::kClip.size()};
  DeviceArray<ThePolicy, std::int32_t> codes_{Model::latent_rows(kBatch)};
};

/// The codes of every clip of a set, and which clips follow each other without a gap.
struct EncodedClips {
  std::size_t tokens = 0;
  std::vector<std::int32_t> codes;                         // [clips, t, h, w]
  std::vector<std::pair<std::size_t, std::size_t>> pairs;  // (clip, the clip after it)

  [[nodiscard]] std::span<const std::int32_t> clip(std::size_t i) const {
    return std::span(codes).subspan(i * tokens, tokens);
  }
};

/// The pairs of clips of one run of which the second begins where the first ends.
inline std::vector<std::pair<std::size_t, std::size_t>> consecutive_pairs(
    const io::ClipSet& clips) {
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> by_start;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    by_start[{clips.info(i).run, clips.info(i).first_frame}] = i;
  }
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  const auto length = static_cast<std::size_t>(clips.options().frames);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto found = by_start.find({clips.info(i).run, clips.info(i).first_frame + length});
    if (found != by_start.end()) pairs.emplace_back(i, found->second);
  }
  return pairs;
}

/// Throws Error if the clips are not of the model's size.
template <class Model>
void require_clip_size(const io::ClipSet& clips) {
  const auto& source = clips.source();
  if (clips.options().frames == Model::kClip.t && source.height() == Model::kClip.h &&
      source.width() == Model::kClip.w) {
    return;
  }
  throw Error("clips of " + std::to_string(clips.options().frames) + " x " +
                  std::to_string(source.height()) + " x " + std::to_string(source.width()) +
                  ", the model takes " + std::to_string(Model::kClip.t) + " x " +
                  std::to_string(Model::kClip.h) + " x " + std::to_string(Model::kClip.w),
              source.run_name(0), "resize the frames to the preset's size");
}

/// Encodes all clips of a set. Throws Error for clips of another size than the model's.
template <class Model>
EncodedClips encode_clips(ClipCodec<Model>& codec, const io::ClipSet& clips,
                          const Progress& progress = {}) {
  require_clip_size<Model>(clips);
  EncodedClips encoded{.tokens = Model::kLatent.tokens(), .codes = {}, .pairs = {}};
  encoded.codes.resize(clips.size() * encoded.tokens);
  std::vector<std::uint8_t> bytes(ClipCodec<Model>::kBatch * clips.clip_bytes());
  for (std::size_t first = 0; first < clips.size(); first += ClipCodec<Model>::kBatch) {
    if (progress) progress(first, clips.size());
    const std::size_t count = std::min(ClipCodec<Model>::kBatch, clips.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      clips.read(first + i, std::span(bytes).subspan(i * clips.clip_bytes(), clips.clip_bytes()));
    }
    codec.encode(std::span(bytes).first(count * clips.clip_bytes()),
                 std::span(encoded.codes).subspan(first * encoded.tokens, count * encoded.tokens));
  }
  if (progress) progress(clips.size(), clips.size());
  encoded.pairs = consecutive_pairs(clips);
  return encoded;
}

}  // namespace VID2VOX::pipeline
