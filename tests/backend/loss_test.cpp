#include "vid2vox/backend/cpu/loss.hpp"

#include <utility>
#include <vector>

#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::normal;
using Loss = ops::Loss<cpu>;

TEST_CASE("losses keep their bits with any number of threads") {
  constexpr std::size_t kCount = 300000;
  const auto a = normal<float>(kCount, "a");
  const auto b = normal<float>(kCount, "b");
  constexpr std::size_t kRows = 2000;
  constexpr std::size_t kClasses = 24;
  const auto logits = normal<float>(kRows * kClasses, "logits", 2);
  std::vector<std::int32_t> targets(kRows);
  RandomStream stream({1, 2, 3});
  for (auto& target : targets) target = static_cast<std::int32_t>(stream.below(kClasses));
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    std::pair<double, double> losses(NAN, NAN);
    Loss::squared_error(kCount, a.data(), b.data(), &losses.first);
    Loss::cross_entropy<float>(kRows, kClasses, logits.data(), targets.data(), nullptr,
                               &losses.second);
    return losses;
  };
  CHECK(run(1) == run(2));
  CHECK(run(1) == run(3));
}

}  // namespace
}  // namespace vid2vox
