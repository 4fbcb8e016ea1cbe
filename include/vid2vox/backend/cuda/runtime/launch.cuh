#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "vid2vox/backend/cuda/runtime/call.cuh"
#include "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace vid2vox::backend::cuda {

inline namespace VID2VOX_ISA {
namespace internal {

/// Two pieces of pinned memory through which uploads go: one is filled while the other is read.
class Staging {
 public:
  void upload(void* device, const void* host, std::size_t bytes, cudaStream_t stream) {
    const std::scoped_lock lock(mutex_);
    for (std::size_t done = 0; done < bytes; done += kPieceBytes) {
      const std::size_t count = std::min(kPieceBytes, bytes - done);
      Piece& piece = pieces_[next_];
      next_ = (next_ + 1) % pieces_.size();
      prepare(piece);
      std::memcpy(piece.memory, static_cast<const char*>(host) + done, count);
      check_call(cudaMemcpyAsync(static_cast<char*>(device) + done, piece.memory, count,
                                 cudaMemcpyHostToDevice, stream),
                 "cudaMemcpyAsync to the device");
      check_call(cudaEventRecord(piece.read, stream), "cudaEventRecord");
    }
  }

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20U;  // 4 MiB hide the latency

  struct Piece {
    void* memory = nullptr;
    cudaEvent_t read = nullptr;
  };

  static void prepare(Piece& piece) {
    if (piece.memory != nullptr) {
      check_call(cudaEventSynchronize(piece.read), "cudaEventSynchronize of an upload");
      return;
    }
    check_call(cudaEventCreateWithFlags(&piece.read, cudaEventDisableTiming), "cudaEventCreate");
    check_call(cudaMallocHost(&piece.memory, kPieceBytes), "cudaMallocHost of the upload buffer");
  }

  std::mutex mutex_;
  std::array<Piece, 2> pieces_;
  std::size_t next_ = 0;
};

struct DeviceState {
  DeviceProperties properties;
  std::uint32_t* reports = nullptr;
  Staging staging;
};

constexpr std::size_t kReportBytes =
    static_cast<std::size_t>(Report::kCount) * sizeof(std::uint32_t);
constexpr int kNothingReportedByte = 0xFF;  // each byte of kNothingReported

inline int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check_call(cudaDeviceGetAttribute(&value, name, device), "cudaDeviceGetAttribute");
  return value;
}

inline DeviceProperties read_properties(int device) {
  cudaDeviceProp all{};
  check_call(cudaGetDeviceProperties(&all, device), "cudaGetDeviceProperties");
  return {.name = all.name,
          .major = all.major,
          .minor = all.minor,
          .multiprocessors = all.multiProcessorCount,
          .shared_bytes = all.sharedMemPerBlockOptin,
          .cache_bytes = static_cast<std::size_t>(all.l2CacheSize),
          .memory_bytes = all.totalGlobalMem};
}

/// Throws unless our kernels and the stream-ordered allocator work on this device.
inline void require_capability(const DeviceProperties& properties, int device) {
  constexpr int kLowestMajor = 8;  // mma with bfloat16 and tf32, cp.async
  const std::string where = "device " + std::to_string(device) + " (" + properties.name + ")";
  if (properties.major < kLowestMajor) {
    throw Error("compute capability " + std::to_string(properties.major) + "." +
                    std::to_string(properties.minor) + " is too old: 8.0 (A100) is the lowest",
                where, "use a newer GPU, or the CPU backend");
  }
  if (attribute(cudaDevAttrMemoryPoolsSupported, device) == 0) {
    throw Error("no stream-ordered memory allocation", where,
                "update the driver, or use the CPU backend");
  }
}

inline cudaMemPool_t default_pool(int device) {
  cudaMemPool_t pool = nullptr;
  check_call(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  return pool;
}

inline void prepare_device(DeviceState& state, int device) {
  state.properties = read_properties(device);
  require_capability(state.properties, device);
  // Keep freed memory for the next step instead of giving it back at each synchronization.
  std::uint64_t threshold = UINT64_MAX;
  check_call(
      cudaMemPoolSetAttribute(default_pool(device), cudaMemPoolAttrReleaseThreshold, &threshold),
      "cudaMemPoolSetAttribute");
  void* reports = nullptr;
  check_call(cudaMalloc(&reports, kReportBytes), "cudaMalloc of the report words");
  check_call(cudaMemset(reports, kNothingReportedByte, kReportBytes), "cudaMemset");
  check_call(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  state.reports = static_cast<std::uint32_t*>(reports);
}

[[noreturn]] inline void throw_no_device(const std::string& reason) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  const std::string driver_text =
      driver == 0 ? "there is no NVIDIA driver"
                  : "the driver supports CUDA up to " + cuda_version_text(driver);
  throw Error(
      "no CUDA device can be used: " + reason + "; " + driver_text +
          ", this program was built with CUDA " + cuda_version_text(runtime),
      "CUDA",
      "run on a machine with an NVIDIA GPU and a driver of that version (see nvidia-smi), or "
      "use the CPU backend");
}

/// State of the current device, made at first use. Never destroyed: at the end of a program the
/// CUDA runtime may be gone before us.
inline DeviceState& device_state() {
  int device = 0;
  if (const cudaError_t status = cudaGetDevice(&device); status != cudaSuccess) {
    throw_no_device(cudaGetErrorString(status));
  }
  static auto* const states = new std::map<int, DeviceState>();
  static auto* const mutex = new std::mutex();
  const std::scoped_lock lock(*mutex);
  if (const auto found = states->find(device); found != states->end()) return found->second;
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    throw_no_device(cudaGetErrorString(status));
  }
  if (count == 0) throw_no_device("there is none");
  DeviceState& state = (*states)[device];
  try {
    prepare_device(state, device);
  } catch (...) {
    states->erase(device);
    throw;
  }
  return state;
}

/// A recorded upload would read the pinned memory when it is repeated, and find other data there.
inline void require_no_capture(Stream stream) {
  cudaStreamCaptureStatus status{};
  check_call(cudaStreamIsCapturing(stream.handle, &status), "cudaStreamIsCapturing");
  if (status == cudaStreamCaptureStatusNone) return;
  throw Error("a copy from the host cannot be recorded", "upload while a CUDA graph is captured",
              "copy before the capture begins");
}

/// Never destroyed: at the end of a program the CUDA runtime may be gone before us.
inline StreamPool& owned_streams() {
  static auto* const pool = new StreamPool();
  return *pool;
}
/// As CUDA's per-thread streams, these wait for the legacy stream and it for them.
inline Stream own_stream() {
  static auto* const pool = new StreamPool();
  static thread_local ThreadStreams streams(*pool);
  int device = 0;
  cudaGetDevice(&device);  // where this fails there is no stream yet, and make explains
  return streams.on(device, [] {
    require_device();
    return new_stream(cudaStreamDefault);
  });
}

/// That of the innermost StreamScope; null: none.
inline Stream& scope_stream() {
  static thread_local Stream stream;
  return stream;
}

inline std::size_t pool_bytes(cudaMemPool_t pool, cudaMemPoolAttr what) {
  std::uint64_t bytes = 0;
  check_call(cudaMemPoolGetAttribute(pool, what, &bytes), "cudaMemPoolGetAttribute");
  return static_cast<std::size_t>(bytes);
}
inline std::size_t graph_bytes(int device, cudaGraphMemAttributeType what) {
  std::uint64_t bytes = 0;
  check_call(cudaDeviceGetGraphMemAttribute(device, what, &bytes),
             "cudaDeviceGetGraphMemAttribute");
  return static_cast<std::size_t>(bytes);
}

}  // namespace internal
}  // namespace VID2VOX_ISA

VID2VOX_CUDA_LINKAGE Stream current_stream() {
  const Stream stream = internal::scope_stream();
  return stream.handle == nullptr ? internal::own_stream() : stream;
}

VID2VOX_CUDA_LINKAGE Stream exchange_current_stream(Stream stream) {
  return std::exchange(internal::scope_stream(), stream);
}

VID2VOX_CUDA_LINKAGE Stream create_stream() {
  require_device();
  return internal::owned_streams().take(internal::current_device(),
                                        [] { return internal::new_stream(cudaStreamNonBlocking); });
}

VID2VOX_CUDA_LINKAGE void destroy_stream(Stream stream) noexcept {
  cudaStreamSynchronize(stream.handle);
  internal::owned_streams().give_back(stream);
}

VID2VOX_CUDA_LINKAGE MemoryUse memory_use() {
  require_device();
  const int device = internal::current_device();
  const cudaMemPool_t pool = internal::default_pool(device);
  return {.pool_reserved = internal::pool_bytes(pool, cudaMemPoolAttrReservedMemCurrent),
          .pool_peak = internal::pool_bytes(pool, cudaMemPoolAttrReservedMemHigh),
          .graph_reserved = internal::graph_bytes(device, cudaGraphMemAttrReservedMemCurrent),
          .graph_peak = internal::graph_bytes(device, cudaGraphMemAttrReservedMemHigh)};
}

VID2VOX_CUDA_LINKAGE void trim_memory(Stream stream) {
  synchronize(stream);
  const int device = internal::current_device();
  check_call(cudaMemPoolTrimTo(internal::default_pool(device), 0), "cudaMemPoolTrimTo");
  check_call(cudaDeviceGraphMemTrim(device), "cudaDeviceGraphMemTrim");
}

VID2VOX_CUDA_LINKAGE int device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();  // else the next launch would report this one
  return 0;
}

VID2VOX_CUDA_LINKAGE void require_device() { internal::device_state(); }

VID2VOX_CUDA_LINKAGE const DeviceProperties& device_properties() {
  return internal::device_state().properties;
}

VID2VOX_CUDA_LINKAGE void* allocate(std::size_t bytes, Stream stream) {
  if (bytes == 0) return nullptr;
  require_device();
  void* pointer = nullptr;
  const cudaError_t status = cudaMallocAsync(&pointer, bytes, stream.handle);
  if (status != cudaSuccess) {
    cudaGetLastError();
    check_call(status, "cudaMallocAsync of " + std::to_string(bytes) + " bytes");
  }
  return pointer;
}

VID2VOX_CUDA_LINKAGE void release(void* pointer, Stream stream) noexcept {
  if (pointer != nullptr) cudaFreeAsync(pointer, stream.handle);
}

VID2VOX_CUDA_LINKAGE void copy_to_device(void* device, const void* host, std::size_t bytes,
                                         Stream stream) {
  if (bytes == 0) return;
  internal::require_no_capture(stream);
  internal::device_state().staging.upload(device, host, bytes, stream.handle);
}

VID2VOX_CUDA_LINKAGE void copy_to_host(void* host, const void* device, std::size_t bytes,
                                       Stream stream) {
  if (bytes == 0) return;
  check_call(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream.handle),
             "cudaMemcpyAsync to the host");
  synchronize(stream);
}

VID2VOX_CUDA_LINKAGE void copy_on_device(void* to, const void* from, std::size_t bytes,
                                         Stream stream) {
  if (bytes == 0) return;
  check_call(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.handle),
             "cudaMemcpyAsync on the device");
}

VID2VOX_CUDA_LINKAGE void copy_rows_on_device(void* to, std::size_t to_pitch, const void* from,
                                              std::size_t from_pitch, std::size_t row_bytes,
                                              std::size_t rows, Stream stream) {
  if (rows * row_bytes == 0) return;
  check_call(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, row_bytes, rows,
                               cudaMemcpyDeviceToDevice, stream.handle),
             "cudaMemcpy2DAsync on the device");
}

VID2VOX_CUDA_LINKAGE void fill_bytes(void* device, std::uint8_t value, std::size_t bytes,
                                     Stream stream) {
  if (bytes == 0) return;
  check_call(cudaMemsetAsync(device, value, bytes, stream.handle), "cudaMemsetAsync");
}

VID2VOX_CUDA_LINKAGE void synchronize(Stream stream) {
  check_call(cudaStreamSynchronize(stream.handle), "cudaStreamSynchronize");
}

VID2VOX_CUDA_LINKAGE std::uint32_t* report_word(Report kind) {
  return internal::device_state().reports + static_cast<std::size_t>(kind);
}

VID2VOX_CUDA_LINKAGE void check_reports(Stream stream) {
  std::uint32_t* words = internal::device_state().reports;
  std::array<std::uint32_t, static_cast<std::size_t>(Report::kCount)> reported{};
  copy_to_host(reported.data(), words, internal::kReportBytes, stream);
  if (std::all_of(reported.begin(), reported.end(),
                  [](std::uint32_t word) { return word == kNothingReported; })) {
    return;
  }
  fill_bytes(words, internal::kNothingReportedByte, internal::kReportBytes, stream);
  internal::throw_reported(reported.data());
}

}  // namespace vid2vox::backend::cuda
