// The CUDA backend's runtime on plain memory, for kernels that run under the shim: work is done
// when its call returns (unless a graph is captured), so every stream is empty. Fresh memory holds
// NaNs (in float32, bfloat16 and float16), and every allocation has its exact size, so that
// AddressSanitizer sees an overrun.
#include "vid2vox/backend/cuda/runtime.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "simt/shim_record.hpp"

namespace vid2vox::backend::cuda {
namespace {

using simt::shim::recording;

/// All bytes 0xFF: a NaN in every floating-point type, -1 in the signed integers.
constexpr int kPoison = 0xFF;
constexpr std::size_t kAlignment = 256;  // as cudaMalloc

Stream& thread_stream() {
  static thread_local Stream stream;
  return stream;
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

Stream current_stream() { return thread_stream(); }
Stream detail::exchange_current_stream(Stream stream) {
  return std::exchange(thread_stream(), stream);
}

Stream create_stream() {
  // A handle that differs from all others; nobody looks behind it.
  return {reinterpret_cast<CUstream_st*>(new char)};  // NOLINT
}
void destroy_stream(Stream stream) noexcept {
  delete reinterpret_cast<char*>(stream.handle);  // NOLINT
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
  if (recording != nullptr) recording->live.push_back(pointer);
  simt::shim::submit(stream, [=] { std::memset(pointer, kPoison, bytes); });
  return pointer;
}

void release(void* pointer, Stream) noexcept {
  if (pointer == nullptr) return;
  if (recording == nullptr) return std::free(pointer);
  auto& live = recording->live;
  const auto found = std::find(live.begin(), live.end(), pointer);
  if (found == live.end()) {
    recording->problem = "memory from before the recording is released in it";
    return std::free(pointer);
  }
  live.erase(found);
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
  detail::throw_reported(reported.data());
}

}  // namespace vid2vox::backend::cuda
