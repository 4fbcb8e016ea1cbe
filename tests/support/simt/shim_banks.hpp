#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vid2vox/core/isa.hpp"

// Counts bank conflicts in shared memory. A program that links vid2vox_simt_banks has its kernels
// instrumented as for ThreadSanitizer, but in place of that runtime this one sees every access and
// the place in the kernel that it comes from. What the lanes of a warp do at the same place, the
// same number of times since they last waited for each other, is one access of the warp.

namespace VID2VOX::simt::shim {

/// What one place in a kernel did to shared memory.
struct BankSite {
  std::vector<const void*> path;  // return addresses: the calls to the place, then the place itself
  int bytes = 0;                  // of one lane's access
  std::uint64_t accesses = 0;     // of warps
  std::uint64_t excess = 0;       // wavefronts beyond those that the accesses need
  int worst = 0;                  // the same, of one access
};

struct BankCounts {
  std::string kernel;  // its name, with template arguments
  std::vector<BankSite> sites;

  [[nodiscard]] std::uint64_t accesses() const;
  [[nodiscard]] std::uint64_t excess() const;
};

/// Counts of the kernels that touched shared memory since the last call, by their names.
std::vector<BankCounts> take_bank_counts();

/// The sites with conflicts, a line each with its counts, then function, file and line of the place
/// and of the calls to it, where addr2line is there.
std::string text_of_conflicts(const BankCounts& counts);

/// Wavefronts of a warp's access beyond those that it needs. Shared memory has 32 banks of 4 bytes;
/// a wavefront takes a word of each bank to any number of lanes. 8 bytes a lane come for half a
/// warp at a time, 16 bytes for a quarter. lanes: a bit for each that takes part; at: their
/// addresses.
int excess_wavefronts(unsigned lanes, const std::uintptr_t (&at)[32], int bytes);

}  // namespace VID2VOX::simt::shim
