// Training in 16 bits follows training in 32 bits.

#include <cmath>

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/graph.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/training/trainer.hpp"

namespace vid2vox {
namespace {

constexpr std::size_t kBatch = 4;
constexpr int kSteps = 60;
constexpr double kRate = 3e-3;
constexpr VqvaeConfig kVideo{.clip = {2, 16, 16},
                             .downsample = {1, 4, 4},
                             .n_hiddens = 16,
                             .n_res_layers = 1,
                             .heads = 2,
                             .embedding_dim = 8,
                             .n_codes = 16};
constexpr GptConfig kText{.latent = {2, 4, 4},
                          .embedding_dim = 8,
                          .n_codes = 16,
                          .conditioning_dim = 24,
                          .hidden_dim = 48,
                          .layers = 2,
                          .heads = 2};

/// A square that moves over a slope, at another place in each clip and step.
std::vector<std::uint8_t> frames(int step) {
  const Extent3 clip = kVideo.clip;
  std::vector<std::uint8_t> result;
  for (int b = 0; b < static_cast<int>(kBatch); ++b) {
    for (int t = 0; t < clip.t; ++t) {
      for (int h = 0; h < clip.h; ++h) {
        for (int w = 0; w < clip.w; ++w) {
          const int left = (5 * b + 3 * step + t) % 12;
          const bool inside = w >= left && w < left + 4 && h >= 6 && h < 10;
          for (int c = 0; c < 3; ++c) {
            result.push_back(static_cast<std::uint8_t>(inside ? 250 - 100 * c : 8 * h + 20 * c));
          }
        }
      }
    }
  }
  return result;
}

/// Mean losses over seeds, as one seed's last losses lie within a third of another's.
struct Curve {
  static constexpr int kSeeds = 4;
  double first = 0;
  double last = 0;  // of the last ten steps

  template <class Step>
  void add(const Step& step) {
    constexpr int kLast = 10;
    for (int i = 0; i < kSteps; ++i) {
      const double loss = step(i);
      if (i == 0) first += loss / kSeeds;
      if (i >= kSteps - kLast) last += loss / kLast / kSeeds;
    }
  }
};

template <class P>
Curve video_curve() {
  Curve curve;
  for (std::uint64_t seed = 1; seed <= Curve::kSeeds; ++seed) {
    VqvaeTrainer<Vqvae<kVideo, Policy<P, cpu>>> trainer(kBatch, seed);
    curve.add([&](int i) { return trainer.train(frames(i), kRate).reconstruction; });
  }
  return curve;
}

template <class P>
Curve text_curve() {
  using Model = Gpt<kText, Policy<P, cpu>>;
  Buffer<float> book(16 * 8);
  const RandomKey key{2, 0, stream_of("book")};
  for (std::size_t i = 0; i < book.size(); ++i) book[i] = static_cast<float>(key.normal(i));
  std::vector<std::int32_t> previous(kBatch * Model::kTokens);
  std::vector<std::int32_t> next(previous.size());
  Curve curve;
  for (std::uint64_t seed = 1; seed <= Curve::kSeeds; ++seed) {
    GptTrainer<Model> trainer(kBatch, seed, typename Model::Codebook(book.data()));
    curve.add([&](int step) {
      for (std::size_t i = 0; i < previous.size(); ++i) {
        previous[i] = static_cast<std::int32_t>((i * 7 + static_cast<std::size_t>(step)) % 16);
        next[i] = (previous[i] + 3) % 16;
      }
      return trainer.train(previous, next, kRate);
    });
  }
  return curve;
}

void check_follows(const Curve& single, const Curve& half) {
  constexpr double kNoise = 0.15;  // of the means
  INFO("float32 " << single.first << " -> " << single.last << ", 16 bits " << half.first << " -> "
                  << half.last);
  REQUIRE(single.last < single.first / 2);
  CHECK(std::abs(half.first - single.first) < kNoise * single.first);
  CHECK(std::abs(half.last - single.last) < kNoise * single.last);
}

TEST_CASE("a VQ-VAE trains in 16 bits as in 32") {
  const Curve single = video_curve<fp32>();
  check_follows(single, video_curve<bf16>());
  check_follows(single, video_curve<fp16>());
}

TEST_CASE("a GPT trains in 16 bits as in 32") {
  const Curve single = text_curve<fp32>();
  check_follows(single, text_curve<bf16>());
  check_follows(single, text_curve<fp16>());
}

}  // namespace
}  // namespace vid2vox
