#include "vid2vox/linalg/engine.hpp"

#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <string>

#include "support/catch.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/linalg/serial_product.hpp"

namespace VID2VOX::linalg {
namespace {

int calls = 0;

void count_call(Transposed, MatrixView<const float>, MatrixView<const float>, MatrixView<float> c,
                bool) {
  ++calls;
  for (std::size_t i = 0; i < c.rows * c.cols; ++i) c.data[i] = 7;
}

/// Puts the engine of the test run back.
class EngineScope {
 public:
  explicit EngineScope(const Engine& selected) : before_(engine()) { set_engine(selected); }
  EngineScope(const EngineScope&) = delete;
  EngineScope& operator=(const EngineScope&) = delete;
  ~EngineScope() { set_engine(before_); }

 private:
  Engine before_;
};

template <class T>
float product_of_ones() {
  const Buffer<T> a(4, T(1.0F));
  Buffer<T> c(4);
  serial_nn<T, T, T>({a.data(), 2, 2}, {a.data(), 2, 2}, {c.data(), 2, 2}, false);
  return static_cast<float>(c[3]);
}

TEST_CASE("float32 products go to the engine that is set, float64 ones to the headers") {
  const EngineScope scope({.name = "counting", .tiles = {.float32 = count_call}});
  CHECK(std::string(engine().name) == "counting");
  calls = 0;
  CHECK(product_of_ones<float>() == 7);
  // An engine without bfloat16 gets widened operands.
  CHECK(product_of_ones<bfloat16>() == 7);
  CHECK(calls == 2);
  CHECK(product_of_ones<double>() == 2);
  CHECK(calls == 2);
  set_engine({});
  CHECK(std::string(engine().name) == "headers");
  CHECK(product_of_ones<float>() == 2);
  CHECK(calls == 2);
}

TEST_CASE("a product of nothing clears the result, whatever the engine") {
  Buffer<float> c(6, 5.0F);
  serial_nn<float, float, float>({nullptr, 2, 0}, {nullptr, 0, 3}, {c.data(), 2, 3}, false);
  CHECK(std::all_of(c.begin(), c.end(), [](float value) { return value == 0; }));
}

volatile std::sig_atomic_t signals = 0;
void count_signal(int) { signals = signals + 1; }

/// SIGALRM to this process many times a millisecond.
class SignalTimer {
 public:
  SignalTimer() {
    struct sigaction action = {};
    action.sa_handler = count_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, &before_);
    set(kMicroseconds);
  }
  SignalTimer(const SignalTimer&) = delete;
  SignalTimer& operator=(const SignalTimer&) = delete;
  ~SignalTimer() {
    set(0);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  static constexpr suseconds_t kMicroseconds = 100;
  static void set(suseconds_t microseconds) {
    const itimerval timer{{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }
  struct sigaction before_ = {};
};

/// Starts OpenMP's threads, which take the mask of signals of the thread that starts them.
void start_threads() {
  parallel_for(64, [](std::size_t) {});
}

// oneDNN 2.6 would also compute on threads that stood there before a product held signals back.
TEMPLATE_TEST_CASE("signals during products damage nothing", "", float, bfloat16) {
  using T = TestType;
  const ThreadCountScope threads(2);
  start_threads();
  const SignalTimer timer;
  signals = 0;
  bool right = true;
  for (std::size_t i = 0; i < 300; ++i) {
    const std::size_t m = 64 + i * 37 % 200;
    const std::size_t n = 64 + i * 53 % 200;
    const std::size_t k = 64 + i * 71 % 600;
    const Buffer<T> a(m * k, T(1.0F));
    const Buffer<T> b(k * n, T(1.0F));
    Buffer<float> c(m * n, -1.0F);
    const Buffer<float> behind(64, 7.0F);
    serial_nn<T, T, float>({a.data(), m, k}, {b.data(), k, n}, {c.data(), m, n}, false);
    const auto all = [](const auto& values, float expected) {
      return std::all_of(values.begin(), values.end(),
                         [=](auto value) { return static_cast<float>(value) == expected; });
    };
    right = right && all(a, 1) && all(b, 1) && all(behind, 7) && all(c, static_cast<float>(k));
  }
  CHECK(right);
  CHECK(signals > 0);
}

TEST_CASE("scratch memory of a thread nests and is kept") {
  const double* outer_place = nullptr;
  {
    ThreadScratch<double> outer(100);
    ThreadScratch<float> inner(50);
    outer_place = outer.data();
    std::fill_n(outer.data(), outer.size(), 1.0);
    std::fill_n(inner.data(), inner.size(), 2.0F);
    CHECK(std::all_of(outer.data(), outer.data() + outer.size(), [](double v) { return v == 1; }));
  }
  ThreadScratch<double> again(60);
  CHECK(again.data() == outer_place);
  CHECK(reinterpret_cast<std::uintptr_t>(again.data()) % Buffer<double>::kAlignment == 0);
}

}  // namespace
}  // namespace VID2VOX::linalg
