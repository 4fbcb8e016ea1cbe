#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"

// Streams, memory and device queries of the CUDA backend, for any compiler. The functions are
// defined in runtime/launch.cuh, which a .cu file includes (or the library vid2vox::cuda_kernels
// holds).

// How *_launch.cuh files define their functions: inline where a .cu file includes them (the
// header-only way), with external linkage where a library of kernels is built.
#ifndef VID2VOX_CUDA_LINKAGE
#define VID2VOX_CUDA_LINKAGE inline
#endif

struct CUstream_st;

namespace vid2vox::backend::cuda {

/// A CUDA stream (cudaStream_t), not owned. Work on one stream runs in order.
struct Stream {
  CUstream_st* handle = nullptr;
  friend bool operator==(const Stream&, const Stream&) = default;
};

/// The stream that this thread's operations go to: that of the innermost StreamScope, else one that
/// the thread has for itself on the current device. (CUDA's own name for a thread's stream means
/// another stream in each thread that uses it; a buffer that is freed by another thread than the
/// one that made it needs a stream that is the same everywhere.) Throws as require_device does.
Stream current_stream();

/// Makes `stream` the thread's current stream, or the thread's own where it is null, and returns
/// what was passed the time before. StreamScope does so for a block.
Stream exchange_current_stream(Stream stream);

inline namespace VID2VOX_ISA {

/// Makes a stream the current one of this thread while the object lives.
class StreamScope {
 public:
  explicit StreamScope(Stream stream) : before_(exchange_current_stream(stream)) {}
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;
  ~StreamScope() { exchange_current_stream(before_); }

 private:
  Stream before_;
};

}  // namespace VID2VOX_ISA

/// A stream of the current device, which does not wait for the legacy stream. The caller destroys
/// it.
Stream create_stream();
/// Waits for the stream's work. The stream is kept for the next create_stream(), so that buffers
/// that were made on it can still be freed.
void destroy_stream(Stream stream) noexcept;

inline namespace VID2VOX_ISA {

/// A stream of its own; one for each context that computes.
class OwnedStream {
 public:
  OwnedStream() : stream_(create_stream()) {}
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  ~OwnedStream() { destroy_stream(stream_); }
  [[nodiscard]] Stream get() const { return stream_; }

 private:
  Stream stream_;
};

}  // namespace VID2VOX_ISA

// --- Devices -----------------------------------------------------------------------------------

struct DeviceProperties {
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  std::size_t shared_bytes = 0;  // largest shared memory of a thread block
  std::size_t cache_bytes = 0;   // second-level cache
  std::size_t memory_bytes = 0;
};

/// Number of devices that can be used; 0 where there is no driver. Does not throw.
int device_count() noexcept;
/// Throws an Error that names the driver's and the runtime's version and what to do, unless there
/// is a device that this build's kernels can run on.
void require_device();
/// The current device's properties, read once. Throws as require_device does.
const DeviceProperties& device_properties();

// --- Memory ------------------------------------------------------------------------------------

/// `bytes` bytes of device memory in the order of the stream's work, aligned to 256 bytes; a null
/// pointer for 0 bytes. Contents are undefined. Throws an Error when the memory does not suffice.
void* allocate(std::size_t bytes, Stream stream = current_stream());
/// Gives memory back once the work that is on the stream now is done.
void release(void* pointer, Stream stream = current_stream()) noexcept;

/// Copies from the host; when it returns, the host memory may be changed. Goes through pinned
/// memory in pieces, so the copy overlaps with work on other streams. Not while a graph is
/// captured.
void copy_to_device(void* device, const void* host, std::size_t bytes,
                    Stream stream = current_stream());
/// Copies to the host and waits for it. Not while a graph is captured.
void copy_to_host(void* host, const void* device, std::size_t bytes,
                  Stream stream = current_stream());
/// Copies between places of the device that do not overlap, in the order of the stream's work.
void copy_on_device(void* to, const void* from, std::size_t bytes,
                    Stream stream = current_stream());
/// Copies `rows` rows of `row_bytes` bytes; a row begins every `to_pitch` and `from_pitch` bytes.
void copy_rows_on_device(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t row_bytes, std::size_t rows, Stream stream = current_stream());
/// Sets each byte.
void fill_bytes(void* device, std::uint8_t value, std::size_t bytes,
                Stream stream = current_stream());
/// Waits for all work on the stream. Throws an Error if a part of it failed.
void synchronize(Stream stream = current_stream());

/// Bytes of the device's memory that this process holds for work in the order of streams: in the
/// pool from which allocate() takes, and in captured graphs, which keep theirs apart. Peaks are
/// those since the process began, each at its own time: their sum can be more than was ever held.
struct MemoryUse {
  std::size_t pool_reserved = 0;
  std::size_t pool_peak = 0;  // of what was reserved
  std::size_t graph_reserved = 0;
  std::size_t graph_peak = 0;
};
/// Of the current device.
MemoryUse memory_use();
/// Waits for the stream, then gives back to the device what the pool and graphs hold without using
/// it. A graph that is launched later takes its memory anew.
void trim_memory(Stream stream = current_stream());

// --- Reports -----------------------------------------------------------------------------------

/// What a kernel can report without anybody waiting for it.
enum class Report : std::uint8_t {
  kNanInput,         // a row that holds a NaN; detail: the row
  kIndexOutOfRange,  // an index that is no row of a table; detail: the position of the index
  kCount
};

/// Content of a report word to which nothing was reported.
inline constexpr std::uint32_t kNothingReported = 0xFFFFFFFFU;

/// The device's word for a kind of report, for kernels: `atomicMin(word, row)`, so that the lowest
/// row is kept whatever the order of the threads.
std::uint32_t* report_word(Report kind);

inline namespace VID2VOX_ISA {

namespace internal {
/// Throws an Error if one of the words [Report::kCount] holds a report.
inline void throw_reported(const std::uint32_t* words) {
  const auto word = [&](Report kind) { return words[static_cast<std::size_t>(kind)]; };
  if (word(Report::kNanInput) != kNothingReported) {
    throw Error("the input of an operation holds NaN, first in row " +
                    std::to_string(word(Report::kNanInput)),
                "device", "training has diverged: use a smaller learning rate or more precision");
  }
  if (word(Report::kIndexOutOfRange) != kNothingReported) {
    throw Error("an index is out of range, first at position " +
                    std::to_string(word(Report::kIndexOutOfRange)),
                "device", "codes and targets must be below the number of codes");
  }
}
}  // namespace internal

}  // namespace VID2VOX_ISA

/// Waits for the stream, then throws an Error if a kernel has reported something, and clears the
/// words. To be called where the host waits anyhow, for example where it reads a loss.
void check_reports(Stream stream = current_stream());

// --- Buffers -----------------------------------------------------------------------------------

inline namespace VID2VOX_ISA {

/// An array in device memory. Freed on the stream on which it was made, whichever thread does so:
/// after work that was sent to that stream before. Work on other streams must be over.
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  /// `count` elements, undefined.
  explicit DeviceBuffer(std::size_t count, Stream stream = current_stream())
      : data_(static_cast<T*>(allocate(count * sizeof(T), stream))),
        size_(count),
        stream_(stream) {}
  /// A copy of `count` elements of the host.
  DeviceBuffer(const T* host, std::size_t count, Stream stream = current_stream())
      : DeviceBuffer(count, stream) {
    upload(host);
  }
  explicit DeviceBuffer(const std::vector<T>& host, Stream stream = current_stream())
      : DeviceBuffer(host.data(), host.size(), stream) {}
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        stream_(other.stream_) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~DeviceBuffer() { release(data_, stream_); }

  /// Copies `size()` elements from the host; see copy_to_device.
  void upload(const T* host) { copy_to_device(data_, host, size_ * sizeof(T), stream_); }
  /// Copies all elements to the host, after the work that is on the stream.
  void download(T* host) const { copy_to_host(host, data_, size_ * sizeof(T), stream_); }
  [[nodiscard]] std::vector<T> download() const {
    std::vector<T> host(size_);
    download(host.data());
    return host;
  }
  void fill_with_byte(std::uint8_t value) { fill_bytes(data_, value, size_ * sizeof(T), stream_); }

  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  Stream stream_;
};

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda
