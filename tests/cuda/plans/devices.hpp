#pragma once

#include <string>

// Devices that need not be there, for tests of cuDNN's plans.

namespace vid2vox::testing {

/// A device as cuDNN describes it. Clocks in kHz, sizes in bytes.
struct Device {
  const char* name;
  int capability;  // 900: 9.0
  int processors;
  int shared_bytes;  // of a block, most
  long memory_bytes;
  int cache_bytes;
  int clock;
  int memory_clock;
};
inline std::string device_json(const Device& d) {
  return R"({"cudaDeviceId":0,"driverVer":13000,"maxGridSize":[2147483647,65535,65535],)"
         R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
         R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
         R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
         R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
         R"("totalGlobalMem":)" +
         std::to_string(d.memory_bytes) + ",\"smClockRateKHz\":" + std::to_string(d.clock) +
         ",\"memClockRateKHz\":" + std::to_string(d.memory_clock) +
         ",\"l2CacheSize\":" + std::to_string(d.cache_bytes) + ",\"deviceName\":\"" + d.name +
         "\",\"deviceVer\":" + std::to_string(d.capability) +
         ",\"multiProcessorCount\":" + std::to_string(d.processors) +
         ",\"maxSharedMemoryPerBlockOptin\":" + std::to_string(d.shared_bytes) + "}";
}

inline std::string a100_json() {
  return device_json(
      {"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 85017493504, 41943040, 1410000, 1593000});
}
inline std::string h100_json() {
  return device_json(
      {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 85017493504, 52428800, 1980000, 2619000});
}
inline std::string h200_json() {
  return device_json({"NVIDIA H200", 900, 132, 232448, 150754820096, 62914560, 1980000, 3201000});
}

}  // namespace vid2vox::testing
