#include "vid2vox/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using vid2vox::Philox;
using vid2vox::RandomKey;

TEST_CASE("Philox equals the known-answer vectors of Random123") {
  // kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
  CHECK(Philox::generate({0, 0, 0, 0}, {0, 0}) ==
        Philox::Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox::generate({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                         {0xffffffff, 0xffffffff}) ==
        Philox::Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox::generate({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                         {0xa4093822, 0x299f31d0}) ==
        Philox::Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("normal numbers have mean 0 and variance 1") {
  const RandomKey key{7, 3, 11};
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = key.normal(static_cast<std::uint64_t>(i));
    sum += value;
    squares += value * value;
  }
  CHECK(std::abs(sum / kCount) < 0.02);
  CHECK(std::abs(squares / kCount - 1) < 0.03);
}

TEST_CASE("a resolved key has the step that holds now") {
  std::uint64_t now = 7;
  const RandomKey key{1, 2, 3, &now};
  CHECK(key.resolved().word(4) == RandomKey{1, 7, 3}.word(4));
  now = 8;
  CHECK(key.resolved().word(4) == RandomKey{1, 8, 3}.word(4));
  CHECK(RandomKey{1, 2, 3}.resolved().step == 2);
}

TEST_CASE("a shuffle is a permutation that depends on the key alone") {
  std::vector<int> first(100);
  for (int i = 0; i < 100; ++i) first[static_cast<std::size_t>(i)] = i;
  std::vector<int> second = first;
  std::vector<int> other = first;
  const std::vector<int> sorted = first;
  vid2vox::shuffle(first, RandomKey{1, 0, 5});
  vid2vox::shuffle(second, RandomKey{1, 0, 5});
  vid2vox::shuffle(other, RandomKey{2, 0, 5});
  CHECK(first == second);
  CHECK(first != other);
  CHECK(first != sorted);
  std::sort(first.begin(), first.end());
  CHECK(first == sorted);
}

TEST_CASE("different seeds, steps and streams give different words") {
  const auto word = RandomKey{1, 2, 3}.word(4);
  CHECK(word != RandomKey{2, 2, 3}.word(4));
  CHECK(word != RandomKey{1, 3, 3}.word(4));
  CHECK(word != RandomKey{1, 2, 4}.word(4));
  CHECK(word != RandomKey{1, 2, 3}.word(5));
}

TEST_CASE("many blocks at a time are the same as one by one") {
  const RandomKey key{123456789012345, 98765432109, 17};
  constexpr std::size_t kBlocks = 37;           // two full groups of lanes and a rest
  constexpr std::uint64_t kFirst = 0xFFFFFFF0;  // crosses 32 bits
  std::vector<std::uint32_t> words(4 * kBlocks);
  key.fill_blocks(kFirst, kBlocks, words.data());
  for (std::size_t i = 0; i < words.size(); ++i) {
    REQUIRE(words[i] == key.word(4 * kFirst + i));
  }
}

TEST_CASE("a random permutation visits each element once, for any size") {
  for (const std::uint64_t size : {1, 2, 3, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    std::vector<int> visits(size);
    for (std::uint64_t k = 0; k < size; ++k) {
      const auto element = vid2vox::random_permutation(RandomKey{1, 2, 3}, size, k);
      REQUIRE(element < size);
      ++visits[element];
    }
    CHECK(std::count(visits.begin(), visits.end(), 1) == static_cast<std::ptrdiff_t>(size));
  }
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 63U;
  CHECK(vid2vox::random_permutation(RandomKey{1, 2, 3}, kHuge + 1, kHuge) <= kHuge);
}

TEST_CASE("the six orders of three elements are equally likely") {
  constexpr int kDraws = 6000;
  std::vector<int> count(9);  // 3 * first + second
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const RandomKey key{seed, 0, 1};
    ++count[3 * vid2vox::random_permutation(key, 3, 0) + vid2vox::random_permutation(key, 3, 1)];
  }
  // 1000 expected, standard deviation 29: within five of them.
  for (const int order : {1, 2, 3, 5, 6, 7}) CHECK(std::abs(count[order] - kDraws / 6) < 145);
}

TEST_CASE("a random permutation sends each element anywhere") {
  // 64 elements, 6400 keys: chi-square of where element 0 goes, 63 degrees of freedom: mean 63,
  // standard deviation 11.2.
  constexpr std::uint64_t kSize = 64;
  std::vector<int> count(kSize);
  for (std::uint64_t seed = 0; seed < 100 * kSize; ++seed) {
    ++count[vid2vox::random_permutation(RandomKey{seed, 5, 9}, kSize, 0)];
  }
  double chi_square = 0;
  for (const int times : count) chi_square += (times - 100.0) * (times - 100.0) / 100.0;
  CHECK(chi_square < 63 + 5 * 11.2);
}
