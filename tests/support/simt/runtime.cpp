// The CUDA backend's runtime on plain memory, for kernels that run under the shim: work is done
// when its call returns (unless a graph is captured), so every stream is empty. Fresh memory holds
// NaNs (in float32, bfloat16 and float16), and every allocation has its exact size, so that
// AddressSanitizer sees an overrun.
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "simt/shim_record.hpp"
#include "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"
#include "vid2vox/core/isa.hpp"

namespace vid2vox::backend::cuda {
namespace {

using simt::shim::recording;

/// All bytes 0xFF: a NaN in every floating-point type, -1 in the signed integers.
constexpr int kPoison = 0xFF;
constexpr std::size_t kAlignment = 256;  // as cudaMalloc

/// A handle that differs from all others; nothing looks behind it.
Stream new_stream() {
  return {reinterpret_cast<CUstream_st*>(new char)};  // NOLINT
}

internal::StreamPool& owned_streams() {
  static auto* const pool = new internal::StreamPool();
  return *pool;
}

Stream own_stream() {
  static auto* const pool = new internal::StreamPool();
  static thread_local internal::ThreadStreams streams(*pool);
  return streams.on(0, new_stream);
}

Stream& scope_stream() {
  static thread_local Stream stream;
  return stream;
}

/// What allocate() gave, and the stream in whose order it must be released.
struct Allocation {
  std::size_t bytes = 0;
  Stream stream;
  bool recorded = false;  // part of a graph
};

/// Beside a pool that keeps what was released until it is trimmed, as the device's.
struct Allocations {
  std::mutex mutex;
  std::map<void*, Allocation> live;
  std::size_t pool_used = 0;
  MemoryUse use;
};
Allocations& allocations() {
  static auto* const all = new Allocations();
  return *all;
}

using ReportWords = std::array<std::uint32_t, static_cast<std::size_t>(Report::kCount)>;

ReportWords& report_words() {
  static ReportWords words = [] {
    ReportWords fresh{};
    fresh.fill(kNothingReported);
    return fresh;
  }();
  return words;
}

}  // namespace

Stream current_stream() { return scope_stream().handle == nullptr ? own_stream() : scope_stream(); }
Stream exchange_current_stream(Stream stream) { return std::exchange(scope_stream(), stream); }

Stream create_stream() { return owned_streams().take(0, new_stream); }
void destroy_stream(Stream stream) noexcept { owned_streams().give_back(stream); }

MemoryUse memory_use() {
  const std::scoped_lock lock(allocations().mutex);
  return allocations().use;
}
void trim_memory(Stream) {
  simt::shim::forbid_in_recording("wait for the stream");
  const std::scoped_lock lock(allocations().mutex);
  allocations().use.pool_reserved = allocations().pool_used;
  allocations().use.graph_reserved = 0;  // no launch is going on
}

int device_count() noexcept { return 1; }
void require_device() {}

const DeviceProperties& device_properties() {
  // Few multiprocessors, so that loops over the grid take several turns; the rest as sm_90.
  static const DeviceProperties kProperties{.name = "SIMT shim",
                                            .major = 9,
                                            .minor = 0,
                                            .multiprocessors = 2,
                                            .shared_bytes = 227 * std::size_t{1024},
                                            .cache_bytes = 50 * std::size_t{1024} * 1024,
                                            .memory_bytes = std::size_t{1} << 30U};
  return kProperties;
}

void* allocate(std::size_t bytes, Stream stream) {
  if (bytes == 0) return nullptr;
  void* pointer = nullptr;
  if (bytes > device_properties().memory_bytes ||
      posix_memalign(&pointer, kAlignment, bytes) != 0) {
    throw Error("out of memory: " + std::to_string(bytes) + " bytes", "device memory",
                "use a smaller batch");
  }
  if (recording != nullptr) {
    recording->live.push_back(pointer);
    recording->bytes += bytes;
    recording->most_bytes = std::max(recording->most_bytes, recording->bytes);
  }
  {
    const std::scoped_lock lock(allocations().mutex);
    allocations().live[pointer] = {bytes, stream, recording != nullptr};
    if (recording == nullptr) {
      MemoryUse& use = allocations().use;
      allocations().pool_used += bytes;
      use.pool_reserved = std::max(use.pool_reserved, allocations().pool_used);
      use.pool_peak = std::max(use.pool_peak, use.pool_reserved);
    }
  }
  simt::shim::submit(stream, [=] { std::memset(pointer, kPoison, bytes); });
  return pointer;
}

void release(void* pointer, Stream stream) noexcept {
  if (pointer == nullptr) return;
  if (recording == nullptr && simt::shim::captured_streams().hold(stream)) {
    std::fputs("memory is released on a stream that another thread captures\n", stderr);
    std::abort();
  }
  std::size_t bytes = 0;
  {
    const std::scoped_lock lock(allocations().mutex);
    const auto found = allocations().live.find(pointer);
    if (found == allocations().live.end() || !(found->second.stream == stream)) {
      std::fputs("memory is released in the order of another stream than its own\n", stderr);
      std::abort();
    }
    bytes = found->second.bytes;
    if (!found->second.recorded) allocations().pool_used -= bytes;
    allocations().live.erase(found);
  }
  if (recording == nullptr) return std::free(pointer);
  auto& live = recording->live;
  const auto found = std::find(live.begin(), live.end(), pointer);
  if (found == live.end()) {
    recording->problem = "memory from before the recording is released in it";
    return std::free(pointer);
  }
  live.erase(found);
  recording->bytes -= bytes;
  recording->released.push_back(pointer);
}

namespace {
void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}
}  // namespace

void copy_to_device(void* device, const void* host, std::size_t bytes, Stream) {
  simt::shim::forbid_in_recording("copy from the host");
  copy(device, host, bytes);
}
void copy_to_host(void* host, const void* device, std::size_t bytes, Stream) {
  simt::shim::forbid_in_recording("copy to the host");
  copy(host, device, bytes);
}
void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  simt::shim::submit(stream, [=] { copy(to, from, bytes); });
}
void copy_rows_on_device(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t row_bytes, std::size_t rows, Stream stream) {
  simt::shim::submit(stream, [=] {
    for (std::size_t r = 0; r < rows; ++r) {
      copy(static_cast<char*>(to) + r * to_pitch, static_cast<const char*>(from) + r * from_pitch,
           row_bytes);
    }
  });
}
void fill_bytes(void* device, std::uint8_t value, std::size_t bytes, Stream stream) {
  simt::shim::submit(stream, [=] {
    if (bytes != 0) std::memset(device, value, bytes);
  });
}
void synchronize(Stream) { simt::shim::forbid_in_recording("wait for the stream"); }

std::uint32_t* report_word(Report kind) { return &report_words()[static_cast<std::size_t>(kind)]; }

void check_reports(Stream) {
  simt::shim::forbid_in_recording("reading the reports");
  const ReportWords reported = report_words();
  report_words().fill(kNothingReported);
  internal::throw_reported(reported.data());
}

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::simt::shim {

void reserve_graph_memory(std::size_t bytes) {
  const std::scoped_lock lock(backend::cuda::allocations().mutex);
  auto& use = backend::cuda::allocations().use;
  use.graph_reserved = std::max(use.graph_reserved, bytes);
  use.graph_peak = std::max(use.graph_peak, use.graph_reserved);
}
void trim_graph_memory() {
  const std::scoped_lock lock(backend::cuda::allocations().mutex);
  backend::cuda::allocations().use.graph_reserved = 0;
}

}  // namespace VID2VOX::simt::shim
