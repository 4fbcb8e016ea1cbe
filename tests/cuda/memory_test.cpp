#include "vid2vox/backend/cuda/memory/memory.hpp"

#include "support/catch.hpp"

namespace vid2vox {
namespace {

using Memory = ops::Memory<cuda>;

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
