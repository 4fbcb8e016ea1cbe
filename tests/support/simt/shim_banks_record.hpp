#pragma once

#include "vid2vox/core/isa.hpp"

// What the instrumentation of an access and of a call reports: see shim_banks.hpp.

namespace VID2VOX::simt::shim {

/// from: the return address of the call to the instrumented function.
void record_call(const void* from);
void record_return();

/// A read or a write of `bytes` at `address`; from: the place in the kernel. Only shared memory
/// counts.
void record_access(const void* from, const void* address, int bytes);

}  // namespace VID2VOX::simt::shim
