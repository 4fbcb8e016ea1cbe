#pragma once

#include <string>

// Devices that need not be there, for tests of cuDNN's plans.

namespace vid2vox::testing {

/// A device as cuDNN describes it.
inline std::string device_json(const char* name, int capability, int processors, int shared_bytes) {
  return R"({"cudaDeviceId":0,"driverVer":13000,"maxGridSize":[2147483647,65535,65535],)"
         R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
         R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
         R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
         R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
         R"("totalGlobalMem":85017493504,"smClockRateKHz":1410000,"memClockRateKHz":1593000,)"
         R"("l2CacheSize":41943040,"deviceName":")" +
         std::string(name) + "\",\"deviceVer\":" + std::to_string(capability) +
         ",\"multiProcessorCount\":" + std::to_string(processors) +
         ",\"maxSharedMemoryPerBlockOptin\":" + std::to_string(shared_bytes) + "}";
}

inline std::string a100_json() { return device_json("NVIDIA A100-SXM4-80GB", 800, 108, 166912); }
inline std::string h100_json() { return device_json("NVIDIA H100 80GB HBM3", 900, 132, 232448); }

}  // namespace vid2vox::testing
