#include "vid2vox/models/gpt_decoder.hpp"

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/streamed_product.hpp"

namespace vid2vox {
namespace {

std::int32_t draw(const std::vector<float>& logits, const SamplingOptions& options,
                  std::uint64_t position = 0, std::uint32_t element = 0) {
  return draw_code(std::span<const float>(logits), options, position, element);
}

TEST_CASE("greedy sampling takes the likeliest code, the lowest on ties") {
  CHECK(draw({0, 3, 1, 3}, {.greedy = true}) == 1);
  CHECK(draw({-5, -9}, {.greedy = true}) == 0);
  CHECK(draw({2, 2, 2}, {.greedy = true, .temperature = 0}) == 0);
}

/// How often each code is drawn in `kDraws` positions.
constexpr std::size_t kDraws = 20000;
std::vector<double> frequencies(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<double> result(logits.size());
  for (std::size_t i = 0; i < kDraws; ++i) {
    result[static_cast<std::size_t>(draw(logits, options, i))] += 1.0 / kDraws;
  }
  return result;
}

void check_frequencies(const std::vector<float>& logits, const SamplingOptions& options,
                       const std::vector<bool>& allowed) {
  std::vector<double> expected(logits.size());
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double scaled = (double{logits[i]} - largest) / options.temperature;
    if (allowed[i]) total += expected[i] = std::exp(scaled);
  }
  const auto found = frequencies(logits, options);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = expected[i] / total;
    // Five standard deviations of a frequency.
    CHECK(std::abs(found[i] - p) <= 5 * std::sqrt(p * (1 - p) / kDraws));
  }
}

TEST_CASE("codes are drawn as often as the softmax says, at any temperature") {
  const std::vector<float> logits{0.5F, -1, 2, 0, 1};
  const std::vector<bool> all(5, true);
  check_frequencies(logits, {.temperature = 1, .seed = 1}, all);
  check_frequencies(logits, {.temperature = 0.5, .seed = 2}, all);
  check_frequencies(logits, {.temperature = 3, .seed = 3}, all);
  // Very large logits: only differences count.
  check_frequencies({1000, 1001, 999}, {.seed = 4}, {true, true, true});
}

TEST_CASE("top-k draws among the k likeliest codes, the lowest on ties") {
  const std::vector<float> logits{0.5F, -1, 2, 0.5F, 1};
  check_frequencies(logits, {.top_k = 2, .seed = 1}, {false, false, true, false, true});
  check_frequencies(logits, {.top_k = 3, .seed = 1}, {true, false, true, false, true});
  check_frequencies(logits, {.top_k = 9, .seed = 1}, std::vector<bool>(5, true));
  CHECK(draw(logits, {.top_k = 1, .seed = 5}) == 2);
}

TEST_CASE("a temperature that is not positive is refused") {
  for (const double temperature : {0.0, -1.0, std::nan("")}) {
    CHECK_THROWS_AS(draw({1, 2}, {.temperature = temperature}), Error);
  }
}

TEST_CASE("draws depend on seed, position and batch element alone") {
  const std::vector<float> logits(50, 0.0F);
  const auto sequence = [&](std::uint64_t seed, std::uint32_t element) {
    std::vector<std::int32_t> codes;
    for (std::uint64_t i = 0; i < 20; ++i)
      codes.push_back(draw(logits, {.seed = seed}, i, element));
    return codes;
  };
  CHECK(sequence(1, 0) == sequence(1, 0));
  CHECK(sequence(1, 0) != sequence(2, 0));
  CHECK(sequence(1, 0) != sequence(1, 1));
}

constexpr GptConfig kSmall{.latent = {2, 2, 2},
                           .embedding_dim = 4,
                           .n_codes = 7,
                           .conditioning_dim = 6,
                           .hidden_dim = 12,
                           .layers = 2,
                           .heads = 2};
using Model = Gpt<kSmall, Policy<fp64, cpu>>;

/// Two clips decoded together give what each gives alone; the same seed gives the same clip.
TEST_CASE("decoding a batch equals decoding its elements") {
  Buffer<double> parameters(Model::parameter_count);
  initialize<Model>(parameters.data(), static_cast<double*>(nullptr), 1);
  const RandomKey key{2, 0, stream_of("decode")};
  // fc_out starts at zero, where every code is as likely.
  for (std::size_t i = Model::kFcOutWeight; i < parameters.size(); ++i) {
    parameters[i] = key.normal(i);
  }
  Buffer<double> embeddings(Model::kClasses * Model::kEmbedding);
  for (std::size_t i = 0; i < embeddings.size(); ++i) embeddings[i] = key.normal(10000 + i);
  Buffer<double> previous(2 * Model::kCodes.size());
  for (std::size_t i = 0; i < previous.size(); ++i) previous[i] = key.normal(20000 + i);
  const auto decode = [&](std::size_t batch, const double* context_clip, std::vector<double>& out) {
    GptDecoder<kSmall, Policy<fp64, cpu>> decoder(batch, {parameters.data(), nullptr},
                                                  typename Model::Codebook(embeddings.data()),
                                                  context_clip);
    std::vector<std::int32_t> codes(batch * Model::kTokens, -1);
    out.assign(batch * Model::kTokens * Model::kClasses, std::nan(""));
    decoder.decode_clip({.greedy = true}, codes.data(), out.data());
    CHECK(decoder.position() == Model::kTokens);
    return codes;
  };
  std::vector<double> both_logits;
  std::vector<double> second_logits;
  const auto both = decode(2, previous.data(), both_logits);
  const auto second = decode(1, previous.data() + Model::kCodes.size(), second_logits);
  CHECK(std::equal(second.begin(), second.end(), both.begin() + Model::kTokens));
  for (std::size_t i = 0; i < second_logits.size(); ++i) {
    CHECK(both_logits[second_logits.size() + i] == Approx(second_logits[i]).margin(1e-12));
  }
  CHECK(std::all_of(both.begin(), both.end(), [](std::int32_t code) {
    return code >= 0 && code < static_cast<std::int32_t>(Model::kClasses);
  }));
}

}  // namespace
}  // namespace vid2vox
