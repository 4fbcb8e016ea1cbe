#pragma once

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Bytes of memory that the process holds now (VmRSS of Linux's /proc/self/status); 0 on a system
/// without that file.
inline std::size_t resident_bytes() {
  constexpr std::size_t kKibibyte = 1024;
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    unsigned long long kibibytes = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %llu kB", &kibibytes) == 1) return kibibytes * kKibibyte;
  }
  return 0;
}

}  // namespace VID2VOX
