// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "support/arrays.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/memory/memory.hpp"
#else
#include "vid2vox/backend/cpu/memory.hpp"
#endif

namespace vid2vox {
namespace {

using Memory = ops::Memory<testing::TestDevice>;

template <class T>
void check_fill(std::size_t n, T value) {
  testing::DeviceArray<T> y(n + 2);  // all bytes 0xFF
  std::vector<T> expected = y.host();
  Memory::fill(n, value, y.data() + 1);
  std::fill_n(expected.begin() + 1, n, value);
  CHECK(std::memcmp(y.host().data(), expected.data(), (n + 2) * sizeof(T)) == 0);
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

}  // namespace
}  // namespace vid2vox
