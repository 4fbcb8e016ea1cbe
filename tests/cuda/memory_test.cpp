#include "vid2vox/backend/cuda/memory/memory.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/half.hpp"

namespace vid2vox {
namespace {

using Memory = ops::Memory<cuda>;

template <class T>
void check_fill(std::size_t n, T value) {
  Memory::Buffer<T> y(n + 2);
  y.fill_with_byte(0x5A);
  const std::vector<T> before = y.download();
  Memory::fill(n, value, y.data() + 1);
  std::vector<T> after(n + 2);
  Memory::download(n + 2, y.data(), after.data());
  const auto bits = backend::cuda::pattern_of<T>;
  CHECK(bits(after[0]) == bits(before[0]));
  CHECK(bits(after[n + 1]) == bits(before[n + 1]));
  bool all = true;
  for (std::size_t i = 1; i <= n; ++i) all = all && bits(after[i]) == bits(value);
  CHECK(all);
}

TEST_CASE("filling writes every element, and no other") {
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{256}, std::size_t{1000}}) {
    check_fill<float>(n, 1.5F);
    check_fill<float>(n, 0.0F);
    check_fill<float>(n, -0.0F);  // not all bits zero
    check_fill<double>(n, -2.25);
    check_fill<std::int32_t>(n, -1);
    check_fill<std::int32_t>(n, 0);
    check_fill<std::uint8_t>(n, 7);
    check_fill<bfloat16>(n, bfloat16(3.0F));
    check_fill<float16>(n, float16(0.5F));
  }
}

TEST_CASE("copies, uploads and downloads") {
  std::vector<float> host(12);
  std::iota(host.begin(), host.end(), 0.0F);
  Memory::Buffer<float> x(12);
  Memory::upload(12, host.data(), x.data());
  Memory::Buffer<float> y(12);
  Memory::copy(12, x.data(), y.data());
  std::vector<float> result(12, -1.0F);
  Memory::download(12, y.data(), result.data());
  CHECK((result == host));
  Memory::build(12, y.data(), [&](float* array) { std::fill_n(array, 12, 3.0F); });
  Memory::download(12, y.data(), result.data());
  CHECK((result == std::vector<float>(12, 3.0F)));

  // Columns 1 and 2 of [3, 4] to columns 0 and 1 of [3, 3].
  Memory::Buffer<float> z(9);
  Memory::fill(9, -1.0F, z.data());
  Memory::copy_rows(3, 2, x.data() + 1, 4, z.data(), 3);
  std::vector<float> rows(9);
  Memory::download(9, z.data(), rows.data());
  CHECK((rows == std::vector<float>{1, 2, -1, 5, 6, -1, 9, 10, -1}));
}

TEST_CASE("a download throws what a kernel has reported") {
  Memory::Buffer<std::uint32_t> row(1);
  Memory::fill(1, 12U, row.data());
  backend::cuda::copy_on_device(backend::cuda::report_word(backend::cuda::Report::kNanInput),
                                row.data(), sizeof(std::uint32_t));
  std::uint32_t value = 0;
  CHECK_THROWS_WITH(Memory::download(1, row.data(), &value), Catch::Matchers::Contains("row 12"));
  Memory::download(1, row.data(), &value);
  CHECK(value == 12);
}

}  // namespace
}  // namespace vid2vox
