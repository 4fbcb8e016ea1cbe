#include "vid2vox/core/parallel.hpp"

#include <atomic>
#include <numeric>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/error.hpp"

namespace vid2vox {
namespace {

TEST_CASE("parallel_for visits every index once") {
  CHECK(thread_count() >= 1);
  for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
    std::vector<std::atomic<int>> visits(count);
    parallel_for(count, [&](std::size_t i) { ++visits.at(i); });
    CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
  }
}

TEST_CASE("parallel_ranges covers [0, total) with pieces of the grain") {
  for (const std::size_t total : {0U, 1U, 9U, 10U, 11U, 95U}) {
    constexpr std::size_t kGrain = 10;
    std::vector<std::atomic<int>> visits(total);
    parallel_ranges(total, kGrain, [&](std::size_t begin, std::size_t end) {
      if (begin % kGrain != 0 || end > total || (end - begin != kGrain && end != total)) {
        throw Error("a wrong piece", "parallel_ranges", "");
      }
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    });
    CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
  }
}

TEST_CASE("an exception of a body reaches the caller") {
  for (const std::size_t count : {1U, 100U}) {
    CHECK_THROWS_AS(parallel_for(count,
                                 [&](std::size_t i) {
                                   if (i + 1 == count)
                                     throw Error("row " + std::to_string(i), "", "");
                                 }),
                    Error);
  }
}

TEST_CASE("parallel loops may be nested") {
  std::vector<std::atomic<int>> visits(12);
  parallel_for(
      3, [&](std::size_t i) { parallel_for(4, [&](std::size_t j) { ++visits[i * 4 + j]; }); });
  CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
}

}  // namespace
}  // namespace vid2vox
