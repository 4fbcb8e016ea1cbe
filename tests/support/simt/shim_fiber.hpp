#pragma once

#include <cstddef>

#include "vid2vox/core/isa.hpp"

// Stacks to switch between within one OS thread, announced to AddressSanitizer and ThreadSanitizer.
// This file is compiled without their instrumentation; VID2VOX_SIMT_ADDRESS_SANITIZER or
// VID2VOX_SIMT_THREAD_SANITIZER says which of them the program is built with.

#if defined(__SANITIZE_ADDRESS__) && !defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
#define VID2VOX_SIMT_ADDRESS_SANITIZER
#endif
#if !defined(__x86_64__) && !defined(VID2VOX_SIMT_UCONTEXT)
#define VID2VOX_SIMT_UCONTEXT
#endif
#if defined(VID2VOX_SIMT_UCONTEXT)
#include <ucontext.h>
#endif

namespace VID2VOX::simt::shim {

/// One flow of execution: the caller's own (default-constructed) or one with its own stack.
struct Fiber {
#if defined(VID2VOX_SIMT_UCONTEXT)
  ucontext_t context{};
#else
  void* stack_pointer = nullptr;
#endif
  char* stack = nullptr;  // lowest address
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* race_state = nullptr;  // ThreadSanitizer's
};

/// Makes `fiber` begin with `entry`, which must not return, on the given stack.
void prepare(Fiber& fiber, void (*entry)(), char* stack, std::size_t stack_bytes);

/// First statement of an entry.
void enter(Fiber& caller);

/// Goes on with `to`; returns when somebody switches back. With `ends`, nobody will.
void switch_fiber(Fiber& from, Fiber& to, bool ends = false);

/// Memory for the stacks of `count` fibers, with a guard page under each; kept for the next call.
/// Under ThreadSanitizer it is fresh each time, since what ran there before is no race.
char* take_stacks(std::size_t count, std::size_t stack_bytes);
/// Ends the use of the stacks, some of which may have been left in the middle of something.
void give_back_stacks(bool left_in_the_middle);

// ThreadSanitizer's view; nothing happens without it. The functions take any address as the object
// that orders what came before a release before what comes after an acquire.
void* create_race_state();
void destroy_race_state(void* state);
void* current_race_state();
void switch_race_state(void* state);
void release_to(void* object);
void acquire_from(void* object);

}  // namespace VID2VOX::simt::shim
