#pragma once

#include <string>

// Devices that need not be there, for tests of cuDNN's plans.

namespace vid2vox::testing {

/// A device as cuDNN describes it. Clocks in kHz.
struct DeviceDescription {
  const char* name;
  int capability;  // 900 for 9.0
  int processors;
  int shared_bytes;  // of a block
  long long memory_bytes;
  int clock;
  int memory_clock;
  int cache_bytes;
};

inline std::string device_json(const DeviceDescription& d) {
  const auto field = [](const char* name, long long value) {
    return std::string(",\"") + name + "\":" + std::to_string(value);
  };
  return R"({"cudaDeviceId":0,"driverVer":13000,"maxGridSize":[2147483647,65535,65535],)"
         R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
         R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
         R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
         R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
         R"("deviceName":")" +
         std::string(d.name) + "\"" + field("totalGlobalMem", d.memory_bytes) +
         field("smClockRateKHz", d.clock) + field("memClockRateKHz", d.memory_clock) +
         field("l2CacheSize", d.cache_bytes) + field("deviceVer", d.capability) +
         field("multiProcessorCount", d.processors) +
         field("maxSharedMemoryPerBlockOptin", d.shared_bytes) + "}";
}

// By NVIDIA's data sheets.
inline std::string a100_json() {
  return device_json({.name = "NVIDIA A100-SXM4-80GB",
                      .capability = 800,
                      .processors = 108,
                      .shared_bytes = 166912,
                      .memory_bytes = 85017493504,
                      .clock = 1410000,
                      .memory_clock = 1593000,
                      .cache_bytes = 41943040});
}
inline std::string h100_json() {
  return device_json({.name = "NVIDIA H100 80GB HBM3",
                      .capability = 900,
                      .processors = 132,
                      .shared_bytes = 232448,
                      .memory_bytes = 85017493504,
                      .clock = 1980000,
                      .memory_clock = 2619000,
                      .cache_bytes = 52428800});
}
inline std::string h200_json() {
  return device_json({.name = "NVIDIA H200",
                      .capability = 900,
                      .processors = 132,
                      .shared_bytes = 232448,
                      .memory_bytes = 141000000000,
                      .clock = 1980000,
                      .memory_clock = 3125000,
                      .cache_bytes = 52428800});
}

}  // namespace vid2vox::testing
