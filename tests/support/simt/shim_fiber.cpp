#include "simt/shim_fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#include "vid2vox/core/isa.hpp"

#if defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(VID2VOX_SIMT_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace VID2VOX::simt::shim {

#if defined(VID2VOX_SIMT_UCONTEXT)

namespace {
void switch_stack(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }
}  // namespace

void prepare(Fiber& fiber, void (*entry)(), char* stack, std::size_t stack_bytes) {
  fiber.stack = stack;
  fiber.stack_bytes = stack_bytes;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack;
  fiber.context.uc_stack.ss_size = stack_bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
}

#else

// Saves the registers that a called function must keep (System V ABI of x86-64), changes the stack
// and loads them from there: 12 ns, where swapcontext needs two system calls.
asm(R"(
.text
.p2align 4
.globl vid2vox_simt_switch_stack
.hidden vid2vox_simt_switch_stack
.type vid2vox_simt_switch_stack, @function
vid2vox_simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size vid2vox_simt_switch_stack, . - vid2vox_simt_switch_stack
)");
extern "C" void vid2vox_simt_switch_stack(void** save, void* load);

namespace {
void switch_stack(Fiber& from, Fiber& to) {
  vid2vox_simt_switch_stack(&from.stack_pointer, to.stack_pointer);
}
}  // namespace

void prepare(Fiber& fiber, void (*entry)(), char* stack, std::size_t stack_bytes) {
  constexpr int kSavedRegisters = 6;
  fiber.stack = stack;
  fiber.stack_bytes = stack_bytes;
  // At the entry the stack must look as after a call: the return address (none) at a multiple of 16
  // less 8. Below it the entry itself, where `ret` goes, then the registers.
  auto** top = reinterpret_cast<void**>(stack + stack_bytes) - 1;
  *top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
}

#endif

void enter([[maybe_unused]] Fiber& caller) {
#if defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (caller.stack == nullptr) {  // the OS thread's own stack, whose place is now known
    caller.stack = static_cast<char*>(const_cast<void*>(bottom));
    caller.stack_bytes = bytes;
  }
#endif
}

void switch_fiber(Fiber& from, Fiber& to, [[maybe_unused]] bool ends) {
#if defined(VID2VOX_SIMT_THREAD_SANITIZER)
  __tsan_switch_to_fiber(to.race_state, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
#endif
  switch_stack(from, to);
#if defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

namespace {
char* stacks = nullptr;
std::size_t stacks_bytes = 0;

void unmap_stacks() {
  if (stacks != nullptr) munmap(stacks, stacks_bytes);
  stacks = nullptr;
  stacks_bytes = 0;
}
}  // namespace

char* take_stacks(std::size_t count, std::size_t stack_bytes) {
  const std::size_t bytes = count * stack_bytes;
  if (stacks_bytes >= bytes) return stacks;
  unmap_stacks();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stacks = static_cast<char*>(memory);
  stacks_bytes = bytes;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < count; ++i) mprotect(stacks + i * stack_bytes, page, PROT_NONE);
  return stacks;
}

void give_back_stacks([[maybe_unused]] bool left_in_the_middle) {
#if defined(VID2VOX_SIMT_THREAD_SANITIZER)
  unmap_stacks();
#elif defined(VID2VOX_SIMT_ADDRESS_SANITIZER)
  if (left_in_the_middle) __asan_unpoison_memory_region(stacks, stacks_bytes);
#endif
}

#if defined(VID2VOX_SIMT_THREAD_SANITIZER)
void* create_race_state() { return __tsan_create_fiber(0); }
void destroy_race_state(void* state) { __tsan_destroy_fiber(state); }
void* current_race_state() { return __tsan_get_current_fiber(); }
void switch_race_state(void* state) {
  __tsan_switch_to_fiber(state, __tsan_switch_to_fiber_no_sync);
}
void release_to(void* object) { __tsan_release(object); }
void acquire_from(void* object) { __tsan_acquire(object); }
#else
void* create_race_state() { return nullptr; }
void destroy_race_state(void*) {}
void* current_race_state() { return nullptr; }
void switch_race_state(void*) {}
void release_to(void*) {}
void acquire_from(void*) {}
#endif

}  // namespace VID2VOX::simt::shim
