// The functions that code instrumented for ThreadSanitizer calls (LLVM's tsan_interface.h), in
// place of its runtime: accesses are recorded, atomics are carried out. Compiled without
// instrumentation.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simt/shim_banks_record.hpp"

namespace {

using vid2vox::simt::shim::record_access;

/// A copy of a whole object: the widest accesses that its size lets a device make.
void record_range(const void* from, const void* address, std::size_t size) {
  const std::size_t widest = size % 16 == 0 ? 16 : size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : 1;
  for (std::size_t i = 0; i < size; i += widest) {
    record_access(static_cast<const char*>(from) + i, static_cast<const char*>(address) + i,
                  static_cast<int>(widest));
  }
}

}  // namespace

#define HERE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void* from) { vid2vox::simt::shim::record_call(from); }
void __tsan_func_exit() { vid2vox::simt::shim::record_return(); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* at, std::size_t size) { record_range(HERE, at, size); }
void __tsan_write_range(void* at, std::size_t size) { record_range(HERE, at, size); }

#define ACCESS(name, bytes) \
  void __tsan_##name(void* at) { record_access(HERE, at, bytes); }
ACCESS(read1, 1)
ACCESS(read2, 2)
ACCESS(read4, 4)
ACCESS(read8, 8)
ACCESS(read16, 16)
ACCESS(write1, 1)
ACCESS(write2, 2)
ACCESS(write4, 4)
ACCESS(write8, 8)
ACCESS(write16, 16)
ACCESS(unaligned_read2, 2)
ACCESS(unaligned_read4, 4)
ACCESS(unaligned_read8, 8)
ACCESS(unaligned_read16, 16)
ACCESS(unaligned_write2, 2)
ACCESS(unaligned_write4, 4)
ACCESS(unaligned_write8, 8)
ACCESS(unaligned_write16, 16)

// Clang calls these where a program calls the functions of the C library.
void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  record_range(HERE, to, size);
  record_range(HERE, from, size);
  return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  record_range(HERE, to, size);
  record_range(HERE, from, size);
  return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, std::size_t size) {
  record_range(HERE, to, size);
  return std::memset(to, value, size);
}

// Atomics. An update is one access: the shim's are a load, which is not counted, and an exchange.
#define ATOMIC(bits)                                                                              \
  using Word##bits = std::uint##bits##_t;                                                         \
  Word##bits __tsan_atomic##bits##_load(const volatile Word##bits* at, int) {                     \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                               \
  void __tsan_atomic##bits##_store(volatile Word##bits* at, Word##bits value, int) {              \
    record_access(HERE, const_cast<const Word##bits*>(at), bits / 8);                             \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                \
  }                                                                                               \
  Word##bits __tsan_atomic##bits##_exchange(volatile Word##bits* at, Word##bits value, int) {     \
    record_access(HERE, const_cast<const Word##bits*>(at), bits / 8);                             \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                      \
  }                                                                                               \
  Word##bits __tsan_atomic##bits##_fetch_add(volatile Word##bits* at, Word##bits value, int) {    \
    record_access(HERE, const_cast<const Word##bits*>(at), bits / 8);                             \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                       \
  }                                                                                               \
  Word##bits __tsan_atomic##bits##_fetch_sub(volatile Word##bits* at, Word##bits value, int) {    \
    record_access(HERE, const_cast<const Word##bits*>(at), bits / 8);                             \
    return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                       \
  }                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile Word##bits* at, Word##bits* old,     \
                                                    Word##bits value, int, int) {                 \
    record_access(HERE, const_cast<const Word##bits*>(at), bits / 8);                             \
    return __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) \
               ? 1                                                                                \
               : 0;                                                                               \
  }                                                                                               \
  Word##bits __tsan_atomic##bits##_compare_exchange_val(volatile Word##bits* at, Word##bits old,  \
                                                        Word##bits value, int, int) {             \
    __tsan_atomic##bits##_compare_exchange_strong(at, &old, value, 0, 0);                         \
    return old;                                                                                   \
  }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"
