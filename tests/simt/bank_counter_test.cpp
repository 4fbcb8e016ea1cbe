// The counter of bank conflicts finds those that are there, and no others.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "simt/bank_seeds.hpp"
#include "simt/errors.hpp"
#include "simt/shim_banks.hpp"
#include "support/catch.hpp"

namespace vid2vox {
namespace {

using simt::shim::BankCounts;
using simt::shim::BankSite;

/// What a kernel did, the sites with the most conflicts first.
BankCounts count(void (*launch)(bank_seeds::Params), int stride) {
  std::vector<float> y(128);
  static_cast<void>(simt::shim::take_bank_counts());
  launch({y.data(), stride});
  auto counts = simt::shim::take_bank_counts();
  REQUIRE(counts.size() == 1);
  std::sort(counts[0].sites.begin(), counts[0].sites.end(),
            [](const BankSite& a, const BankSite& b) { return a.excess > b.excess; });
  return counts[0];
}

std::uint64_t excess(void (*launch)(bank_seeds::Params), int stride) {
  return count(launch, stride).excess();
}

TEST_CASE("wavefronts of an access: banks, words that lanes share, phases of wide accesses") {
  std::uintptr_t at[32];
  const auto of_stride = [&](std::uintptr_t bytes_apart, int bytes, unsigned lanes = 0xFFFFFFFFU) {
    for (std::uintptr_t i = 0; i < 32; ++i) at[i] = 4096 + i * bytes_apart;
    return simt::shim::excess_wavefronts(lanes, at, bytes);
  };
  CHECK(of_stride(4, 4) == 0);
  CHECK(of_stride(0, 4) == 0);
  CHECK(of_stride(2, 2) == 0);
  CHECK(of_stride(1, 1) == 0);
  CHECK(of_stride(12, 4) == 0);
  CHECK(of_stride(8, 4) == 1);
  CHECK(of_stride(64, 4) == 15);
  CHECK(of_stride(128, 4) == 31);
  CHECK(of_stride(128, 4, 0x00000011U) == 1);
  CHECK(of_stride(128, 4, 0) == 0);
  CHECK(of_stride(8, 8) == 0);
  CHECK(of_stride(16, 8) == 2);
  CHECK(of_stride(16, 16) == 0);
  CHECK(of_stride(32, 16) == 4);
  CHECK(of_stride(128, 16) == 28);
}

TEST_CASE("a kernel's conflicts are counted at every width") {
  CHECK(excess(bank_seeds::launch_words, 1) == 0);
  CHECK(excess(bank_seeds::launch_words, 33) == 0);
  CHECK(excess(bank_seeds::launch_words, 32) == 2 * 31);
  CHECK(excess(bank_seeds::launch_broadcast, 1) == 0);
  CHECK(excess(bank_seeds::launch_pairs, 1) == 0);
  CHECK(excess(bank_seeds::launch_pairs, 2) == 3 * 2);
  CHECK(excess(bank_seeds::launch_vectors, 1) == 0);
  CHECK(excess(bank_seeds::launch_vectors, 2) == 3 * 4);
  CHECK(excess(bank_seeds::launch_copies, 1) == 0);
  CHECK(excess(bank_seeds::launch_copies, 8) >= 28);
}

TEST_CASE("accesses are those of a warp") {
  const BankCounts words = count(bank_seeds::launch_words, 1);
  CHECK(words.kernel == "bank_seeds::words_kernel");
  CHECK(words.sites.size() == 2);
  CHECK(words.accesses() == 2);
  const BankCounts vectors = count(bank_seeds::launch_vectors, 1);
  REQUIRE(vectors.sites.size() == 1);
  CHECK(vectors.sites[0].bytes == 16);
  CHECK(vectors.sites[0].accesses == 3);
}

TEST_CASE("lanes that skip an access meet the others again behind it") {
  const BankCounts counts = count(bank_seeds::launch_branches, 1);
  CHECK(counts.accesses() == 6);
  CHECK(counts.excess() == 0);
  CHECK(excess(bank_seeds::launch_branches, 2) == 3);
}

TEST_CASE("a function's accesses are told apart by its callers") {
  const BankCounts counts = count(bank_seeds::launch_calls, 32);
  REQUIRE(counts.sites.size() == 2);
  CHECK(counts.sites[0].worst == 31);
  CHECK(counts.sites[1].worst == 0);
  const std::string text = simt::shim::text_of_conflicts(counts);
  CHECK(contains(text, "31 in 1 accesses of 4 bytes, at most 31 in one"));
  if (std::system("addr2line --version >/dev/null 2>&1") == 0) {
    CHECK(contains(text, "bank_seeds.cpp:"));
  }
}

}  // namespace
}  // namespace vid2vox
