#include "vid2vox/backend/cpu/memory.hpp"

#include <vector>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

using Memory = ops::Memory<cpu>;

TEST_CASE("memory is filled, copied by rows, and moved from and to the host") {
  Memory::Buffer<int> a(6);
  Memory::fill(6, 7, a.data());
  const int host[6] = {1, 2, 3, 4, 5, 6};
  Memory::upload(4, host, a.data());
  int back[6] = {};
  Memory::download(6, a.data(), back);
  int* built = nullptr;
  Memory::build(6, a.data(), [&](int* array) { built = array; });
  CHECK(built == a.data());  // no second array
  CHECK(std::vector<int>(back, back + 6) == std::vector<int>{1, 2, 3, 4, 7, 7});
  int rows[8] = {};
  Memory::copy_rows(2, 2, host, 3, rows, 4);
  CHECK(std::vector<int>(rows, rows + 8) == std::vector<int>{1, 2, 0, 0, 4, 5, 0, 0});
  Memory::copy(2, host + 4, rows);
  CHECK(rows[1] == 6);
}

}  // namespace
}  // namespace vid2vox
