#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <mutex>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Threads that parallel_for uses: OMP_NUM_THREADS or the number of cores; 1 without OpenMP.
inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Sets the number of threads that the calling thread uses, until its end; libraries that compute
/// with OpenMP keep to it as well. Without OpenMP there is always one.
class ThreadCountScope {
 public:
  explicit ThreadCountScope(int count) : before_(thread_count()) { set(count); }
  ThreadCountScope(const ThreadCountScope&) = delete;
  ThreadCountScope& operator=(const ThreadCountScope&) = delete;
  ~ThreadCountScope() { set(before_); }

 private:
  static void set([[maybe_unused]] int count) {
#ifdef _OPENMP
    omp_set_num_threads(count);
#endif
  }
  int before_;
};

/// Calls body(i) for i in [0, count), in any order and on any thread. The caller cuts the work into
/// pieces that depend only on the problem, so results do not depend on the number of threads.
/// The first exception thrown by a body is rethrown after all have ended.
template <class Body>
void parallel_for(std::size_t count, const Body& body) {
#ifdef _OPENMP
  // A single piece runs inside a parallel region too: libraries called by the body (Eigen) then
  // stay serial, so their blocking does not depend on the number of threads.
  if (omp_get_max_threads() > 1 && omp_in_parallel() == 0) {
    std::exception_ptr failure;
    std::mutex guard;
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t i = 0; i < count; ++i) {
      try {
        body(i);
      } catch (...) {
        const std::scoped_lock lock(guard);
        if (!failure) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  for (std::size_t i = 0; i < count; ++i) body(i);
}

/// parallel_for where `work`, elements that are read by all, is worth waking the threads.
template <class Body>
void parallel_if_worth(std::size_t count, std::size_t work, const Body& body) {
  constexpr std::size_t kWorth = 1 << 16;  // about 10 microseconds; waking a team costs a few
  if (work >= kWorth) {
    parallel_for(count, body);
  } else {
    for (std::size_t i = 0; i < count; ++i) body(i);
  }
}

/// Cuts [0, total) into pieces of `grain` and calls body(begin, end) for each, in parallel.
template <class Body>
void parallel_ranges(std::size_t total, std::size_t grain, const Body& body) {
  const std::size_t pieces = (total + grain - 1) / grain;
  parallel_for(pieces, [&](std::size_t piece) {
    const std::size_t begin = piece * grain;
    body(begin, std::min(begin + grain, total));
  });
}

}  // namespace VID2VOX
