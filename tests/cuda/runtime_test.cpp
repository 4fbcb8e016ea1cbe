#include "vid2vox/backend/cuda/runtime/runtime.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "support/catch.hpp"

namespace vid2vox::backend::cuda {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("memory goes to the device and back, of any size") {
  // Around the size of a piece of pinned memory, through which uploads go in turn.
  constexpr std::size_t kPiece = (std::size_t{4} << 20U) / sizeof(std::int32_t);
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{1000}, kPiece - 1, kPiece + 1, 3 * kPiece}) {
    std::vector<std::int32_t> host(count);
    std::iota(host.begin(), host.end(), 5);
    DeviceBuffer<std::int32_t> device(host);
    const std::vector<std::int32_t> expected = host;
    std::fill(host.begin(), host.end(), -1);  // an upload has read its source when it returns
    CHECK(device.size() == count);
    CHECK((device.download() == expected));
  }
}

TEST_CASE("copies on the device and filling keep the order of the stream") {
  const std::vector<float> first{1, 2, 3, 4};
  DeviceBuffer<float> a(first);
  DeviceBuffer<float> b(4);
  copy_on_device(b.data(), a.data(), 4 * sizeof(float));
  a.fill_with_byte(0);
  copy_on_device(a.data() + 1, b.data() + 2, 2 * sizeof(float));
  CHECK((b.download() == first));
  CHECK((a.download() == std::vector<float>{0, 3, 4, 0}));
}

TEST_CASE("buffers move and free themselves") {
  DeviceBuffer<int> a(std::vector<int>{1, 2, 3});
  DeviceBuffer<int> b(std::move(a));
  CHECK((b.download() == std::vector<int>{1, 2, 3}));
  DeviceBuffer<int> c(1);
  c = std::move(b);
  CHECK((c.download() == std::vector<int>{1, 2, 3}));
}

TEST_CASE("a stream scope changes the current stream and gives it back") {
  const Stream before = current_stream();
  const OwnedStream own;
  const OwnedStream other;
  CHECK_FALSE(own.get() == other.get());
  {
    const StreamScope scope(own.get());
    CHECK(current_stream() == own.get());
    {
      const StreamScope inner(other.get());
      CHECK(current_stream() == other.get());
    }
    CHECK(current_stream() == own.get());
    const DeviceBuffer<int> values(std::vector<int>{7});
    CHECK((values.download() == std::vector<int>{7}));
  }
  CHECK(current_stream() == before);
}

TEST_CASE("each thread has a stream of its own, by a name that means it in every thread") {
  const Stream mine = current_stream();
  CHECK(mine.handle != nullptr);
  CHECK(current_stream() == mine);
  Stream other;
  DeviceBuffer<int> values;
  std::thread([&] {
    other = current_stream();
    values = DeviceBuffer<int>(std::vector<int>{1, 2, 3});
  }).join();
  CHECK(other.handle != nullptr);
  CHECK_FALSE(other == mine);
  // The thread that made it is gone; its stream is not, and the buffer is freed on it.
  CHECK((values.download() == std::vector<int>{1, 2, 3}));
  values = DeviceBuffer<int>();
}

TEST_CASE("a buffer may outlive the object that had its stream") {
  DeviceBuffer<int> values;
  {
    const OwnedStream own;
    values = DeviceBuffer<int>(std::vector<int>{4, 5}, own.get());
    synchronize(own.get());
  }
  CHECK((values.download() == std::vector<int>{4, 5}));
}

TEST_CASE("memory that was released is kept until it is trimmed") {
  constexpr std::size_t kBytes = std::size_t{64} << 20U;
  trim_memory();
  const MemoryUse before = memory_use();
  { const DeviceBuffer<std::byte> large(kBytes); }
  const MemoryUse kept = memory_use();
  CHECK(kept.pool_reserved >= before.pool_reserved + kBytes);
  CHECK(kept.pool_peak >= kept.pool_reserved);
  trim_memory();
  const MemoryUse after = memory_use();
  CHECK(after.pool_reserved < before.pool_reserved + kBytes);
  CHECK(after.pool_peak == kept.pool_peak);
}

TEST_CASE("reports of kernels throw once, and say what was found") {
  check_reports();  // nothing yet
  const auto report = [](Report kind, std::uint32_t detail) {
    copy_to_device(report_word(kind), &detail, sizeof(detail));  // as a kernel's atomicMin
  };
  report(Report::kNanInput, 17);
  CHECK_THROWS_WITH(check_reports(), Contains("NaN") && Contains("row 17"));
  check_reports();
  report(Report::kIndexOutOfRange, 3);
  CHECK_THROWS_WITH(check_reports(), Contains("out of range, first at position 3"));
  check_reports();
}

TEST_CASE("the device is described, and too large an allocation is an error") {
  CHECK(device_count() >= 1);
  const DeviceProperties& properties = device_properties();
  CHECK_FALSE(properties.name.empty());
  CHECK(properties.major >= 8);
  CHECK(properties.multiprocessors > 0);
  constexpr std::size_t kPetabyte = std::size_t{1} << 50U;
  CHECK_THROWS_AS(allocate(kPetabyte), Error);
  CHECK((DeviceBuffer<int>(std::vector<int>{1}).download() == std::vector<int>{1}));
}

}  // namespace
}  // namespace vid2vox::backend::cuda
