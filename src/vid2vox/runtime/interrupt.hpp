#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>

#include "vid2vox/core/error.hpp"

namespace vid2vox::runtime {

namespace internal {
inline std::atomic<bool> interrupt_seen{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch it");

extern "C" inline void handle_interrupt(int signal_number) {
  if (interrupt_seen.exchange(true)) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
    return;
  }
  constexpr char kMessage[] = "\nstopping after this step (press Ctrl-C again to end at once)\n";
  // Nothing can be done about a failed write here, and only async-signal-safe calls are allowed.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
}
}  // namespace internal

/// From here on the first Ctrl-C (SIGINT) or SIGTERM only sets a flag; the second ends the program
/// at once.
inline void catch_interrupts() {
  std::signal(SIGINT, internal::handle_interrupt);
  std::signal(SIGTERM, internal::handle_interrupt);
}

/// Whether the user asked to stop: finish the step, save, return.
inline bool interrupted() { return internal::interrupt_seen.load(); }

/// The user asked to stop where there is nothing to save: the stage is made again next time.
class Stopped : public Error {
 public:
  explicit Stopped(const std::string& stage)
      : Error("stopped by the user", stage, "give the same command again") {}
};

/// Throws Stopped if the user asked to stop.
inline void stop_if_interrupted(const std::string& stage) {
  if (interrupted()) throw Stopped(stage);
}

/// Forgets an earlier request.
inline void clear_interrupt() { internal::interrupt_seen.store(false); }

}  // namespace vid2vox::runtime
