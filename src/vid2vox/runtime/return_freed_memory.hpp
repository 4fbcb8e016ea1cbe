#pragma once

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace vid2vox::runtime {

/// Large matrices go back to the system when they are freed: glibc would learn to keep blocks of up
/// to 32 MB, and a bound on memory would not hold.
inline void return_freed_memory() {
#ifdef M_MMAP_THRESHOLD
  constexpr int kLarge = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, 2 * kLarge);  // smaller blocks are used again
#endif
}

}  // namespace vid2vox::runtime
