#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>
#include <string_view>

#include "vid2vox/core/host_device.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a
/// counter-based generator. The same (key, counter) gives the same four words on any device and
/// with any threads.
struct Philox {
  /// `kSize` words; std::array cannot be indexed in kernels.
  template <std::size_t kSize>
  struct Words {
    std::uint32_t word[kSize];

    VID2VOX_HOST_DEVICE constexpr std::uint32_t operator[](std::size_t i) const { return word[i]; }
    bool operator==(const Words&) const = default;
  };
  using Counter = Words<4>;
  using Key = Words<2>;

  // Constants of the paper's table 2.
  static constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
  static constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
  static constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  static constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  static constexpr int kRounds = 10;

  VID2VOX_HOST_DEVICE static constexpr Counter generate(Counter counter, Key key) {
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t product0 = static_cast<std::uint64_t>(kMultiplier0) * counter[0];
      const std::uint64_t product1 = static_cast<std::uint64_t>(kMultiplier1) * counter[2];
      counter = {static_cast<std::uint32_t>(product1 >> 32U) ^ counter[1] ^ key[0],
                 static_cast<std::uint32_t>(product1),
                 static_cast<std::uint32_t>(product0 >> 32U) ^ counter[3] ^ key[1],
                 static_cast<std::uint32_t>(product0)};
      key = {key[0] + kWeyl0, key[1] + kWeyl1};
    }
    return counter;
  }
};

/// Identifies one use of random numbers: the run's seed, the training step, and a stream (layer,
/// parameter, shuffle...). Elements within the stream are addressed by index.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint32_t stream = 0;
  /// Where kernels of a device read the step, in its memory; null: `step` holds. A kernel that is
  /// launched again with the same arguments then draws the numbers of the new step. The functions
  /// below use `step`.
  const std::uint64_t* step_at = nullptr;

  /// For kernels: the key with the step that holds now.
  [[nodiscard]] VID2VOX_HOST_DEVICE constexpr RandomKey resolved() const {
    return {seed, step_at == nullptr ? step : *step_at, stream};
  }

  /// The four words that serve elements 4*block .. 4*block+3.
  [[nodiscard]] VID2VOX_HOST_DEVICE constexpr Philox::Counter block(std::uint64_t index) const {
    // The step is folded into the counter's upper half with the stream: 32 bits each.
    return Philox::generate(
        {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32U),
         static_cast<std::uint32_t>(step),
         stream ^ static_cast<std::uint32_t>((step >> 32U) * 0x85EBCA6BU)},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)});
  }

  /// The words of elements 4*first_block .. 4*(first_block + blocks) - 1, the same as `block`
  /// gives, many at a time so that the compiler uses vector instructions.
  void fill_blocks(std::uint64_t first_block, std::size_t blocks, std::uint32_t* words) const {
    std::size_t done = 0;
    for (; done + kLanes <= blocks; done += kLanes) {
      generate_lanes(first_block + done, words + 4 * done);
    }
    for (; done < blocks; ++done) {
      const auto last = block(first_block + done);
      for (std::size_t i = 0; i < 4; ++i) words[4 * done + i] = last[i];
    }
  }

  [[nodiscard]] VID2VOX_HOST_DEVICE constexpr std::uint32_t word(std::uint64_t element) const {
    return block(element / 4)[element % 4];
  }

  /// Uniform in [0, 1) with 24 random bits, the same in float and double.
  [[nodiscard]] VID2VOX_HOST_DEVICE constexpr double uniform(std::uint64_t element) const {
    return to_unit(word(element));
  }

  /// Standard normal by Box and Muller from two words of the element's own block.
  [[nodiscard]] double normal(std::uint64_t element) const {
    const auto words = block(element);
    const double radius = std::sqrt(-2.0 * std::log((words[0] + 0.5) * kInverse32));
    return radius * std::cos(2.0 * std::numbers::pi * (words[1] + 0.5) * kInverse32);
  }

  VID2VOX_HOST_DEVICE static constexpr double to_unit(std::uint32_t word) {
    constexpr double kInverse24 = 1.0 / 16777216.0;
    return static_cast<double>(word >> 8U) * kInverse24;
  }

 private:
  /// Philox::generate with one counter a lane of GCC's and clang's vector type. Words are kept in
  /// 64 bits, so that their product is one vector instruction.
  static constexpr std::size_t kLanes = 8;
  void generate_lanes(std::uint64_t first, std::uint32_t* words) const {
    using Lanes [[gnu::vector_size(kLanes * sizeof(std::uint64_t))]] = std::uint64_t;
    constexpr std::uint64_t kLow = 0xFFFFFFFF;
    constexpr std::uint64_t kHalf = 32;
    Lanes c0{};
    Lanes c1{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      c0[lane] = (first + lane) & kLow;
      c1[lane] = (first + lane) >> kHalf;
    }
    Lanes c2 = Lanes{} + (step & kLow);
    Lanes c3 = Lanes{} + (stream ^ static_cast<std::uint32_t>((step >> kHalf) * 0x85EBCA6BU));
    std::uint64_t key0 = seed & kLow;
    std::uint64_t key1 = seed >> kHalf;
    for (int round = 0; round < Philox::kRounds; ++round) {
      const Lanes product0 = c0 * std::uint64_t{Philox::kMultiplier0};
      const Lanes product1 = c2 * std::uint64_t{Philox::kMultiplier1};
      c0 = (product1 >> kHalf) ^ c1 ^ key0;
      c1 = product1 & kLow;
      c2 = (product0 >> kHalf) ^ c3 ^ key1;
      c3 = product0 & kLow;
      key0 = (key0 + Philox::kWeyl0) & kLow;
      key1 = (key1 + Philox::kWeyl1) & kLow;
    }
    // Words of one counter lie side by side.
    const Lanes front = c0 | (c1 << kHalf);
    const Lanes back = c2 | (c3 << kHalf);
    const Lanes first_half = __builtin_shufflevector(front, back, 0, 8, 1, 9, 2, 10, 3, 11);
    const Lanes second_half = __builtin_shufflevector(front, back, 4, 12, 5, 13, 6, 14, 7, 15);
    std::memcpy(words, &first_half, sizeof(Lanes));
    std::memcpy(words + sizeof(Lanes) / sizeof(*words), &second_half, sizeof(Lanes));
  }

  static constexpr double kInverse32 = 1.0 / 4294967296.0;
};

/// A sequential source over one RandomKey; satisfies UniformRandomBitGenerator (but std::
/// distributions differ between standard libraries: prefer `below` where bits must match).
class RandomStream {
 public:
  using result_type = std::uint32_t;
  explicit RandomStream(RandomKey key, std::uint64_t position = 0)
      : key_(key), position_(position) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() { return key_.word(position_++); }

  /// Uniform integer in [0, bound), without modulo bias beyond 2^-32.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t high = (*this)();
    const std::uint64_t low = (*this)();
    return ((high << 32U) | low) % bound;
  }
  double uniform() { return RandomKey::to_unit((*this)()); }
  /// Standard normal; consumes one block (four words' worth) per value.
  double normal() {
    position_ = (position_ + 3) / 4 * 4;
    const double value = key_.normal(position_ / 4);
    position_ += 4;
    return value;
  }

 private:
  RandomKey key_;
  std::uint64_t position_;
};

/// Stream number from a name (FNV-1a, 32 bits): stable across platforms and builds.
constexpr std::uint32_t stream_of(std::string_view name) {
  std::uint32_t hash = 2166136261U;
  for (const char character : name) {
    hash = (hash ^ static_cast<std::uint8_t>(character)) * 16777619U;
  }
  return hash;
}

/// An element is dropped with this probability, in [0, 1), when its random word is below the
/// threshold.
constexpr std::uint32_t dropout_threshold(double probability) {
  constexpr double kTwoTo32 = 4294967296.0;
  return static_cast<std::uint32_t>(probability * kTwoTo32);
}

/// Fisher-Yates shuffle whose order depends only on the key.
template <class Container>
void shuffle(Container& items, RandomKey key) {
  RandomStream stream(key);
  for (std::size_t i = items.size(); i > 1; --i) {
    const auto j = static_cast<std::size_t>(stream.below(i));
    using std::swap;
    swap(items[i - 1], items[j]);
  }
}

/// Element k of a random permutation of [0, size), each found by itself on any device: a Feistel
/// network over the smallest even number of bits that hold `size`, its round function a Philox
/// word, applied again until the result is below `size` (cycle walking; under four times on
/// average). Needs k < size. The counters that it reads lie beyond any that `word` reaches for
/// elements below 2^58.
VID2VOX_HOST_DEVICE constexpr std::uint64_t random_permutation(RandomKey key, std::uint64_t size,
                                                               std::uint64_t k) {
  constexpr int kRounds = 8;       // twice what Luby and Rackoff (1988) need: small halves
  constexpr int kRoundShift = 56;  // above any half (at most 32 bits)
  int half_bits = 0;
  while (half_bits < 32 && (size - 1) >> (2 * half_bits) != 0) ++half_bits;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t value = k;
  do {
    std::uint64_t left = value >> half_bits;
    std::uint64_t right = value & mask;
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t counter = right | (static_cast<std::uint64_t>(round + 1) << kRoundShift);
      const std::uint64_t mixed = left ^ (key.block(counter)[0] & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits) | right;
  } while (value >= size);
  return value;
}

}  // namespace VID2VOX
