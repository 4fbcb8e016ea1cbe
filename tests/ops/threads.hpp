#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include "vid2vox/core/parallel.hpp"

namespace vid2vox::testing {

/// Sets the number of threads until its end. Without OpenMP there is always one.
class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set(count); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { set(before_); }

 private:
  static void set([[maybe_unused]] int count) {
#ifdef _OPENMP
    omp_set_num_threads(count);
#endif
  }
  int before_;
};

}  // namespace vid2vox::testing
