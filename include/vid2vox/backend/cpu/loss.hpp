#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/vectors.hpp"
#include "vid2vox/ops/loss.hpp"

namespace VID2VOX::ops {

template <>
struct Loss<cpu> {
  template <class X>
  static void squared_error(std::size_t n, const X* a, const X* b, double* out) {
    constexpr std::size_t kRow = 256;
    const std::size_t rows = (n + kRow - 1) / kRow;
    const auto sum =
        backend::cpu::sum_over_rows<double>(rows, 1, [=](std::size_t row, double* total) {
          const std::size_t begin = row * kRow;
          *total += backend::cpu::lane_sum<double>(std::min(kRow, n - begin), [=](std::size_t i) {
            const double difference =
                static_cast<double>(a[begin + i]) - static_cast<double>(b[begin + i]);
            return difference * difference;
          });
        });
    *out = sum[0] / static_cast<double>(n);
  }

  template <class X, class T>
  static void squared_error_gradient(std::size_t n, const X* a, const X* b, double weight, T* da,
                                     const double* scale = nullptr) {
    using A = AccumulateOf<T>;
    const double scaled = scale == nullptr ? weight : weight * *scale;
    const A factor = static_cast<A>(2 * scaled / static_cast<double>(n));
    backend::cpu::for_each_index(
        n, [=](std::size_t i) { da[i] = static_cast<T>(da[i] + factor * (a[i] - b[i])); });
  }

  template <class T>
  static void cross_entropy(std::size_t rows, std::size_t classes, const T* logits,
                            const std::int32_t* target, T* d_logits, double* out,
                            const double* scale = nullptr) {
    using A = AccumulateOf<T>;
    const A factor = static_cast<A>((scale == nullptr ? 1 : *scale) / static_cast<double>(rows));
    const auto sum =
        backend::cpu::sum_over_rows<double>(rows, 1, [=](std::size_t row, double* total) {
          namespace host = backend::cpu;
          const T* logit = logits + row * classes;
          const auto label = static_cast<std::size_t>(target[row]);
          const double label_logit = static_cast<double>(logit[label]);
          ThreadScratch<A> softmax(linalg::whole_vectors<A>(classes));
          for (std::size_t i = 0; i < classes; ++i) softmax[i] = static_cast<A>(logit[i]);
          const auto [largest, denominator] = linalg::exponentiate_row(classes, softmax.data());
          *total += std::log(static_cast<double>(denominator)) + static_cast<double>(largest) -
                    label_logit;
          if (d_logits == nullptr) return;
          T* gradient = d_logits + row * classes;
          const A inverse = A(1) / denominator;
          const A label_gradient = (softmax[label] * inverse - A(1)) * factor;
          const A* exponential = softmax.data();
          const A scaled = inverse * factor;
          for (std::size_t i = 0; i < classes; ++i) {
            gradient[i] = static_cast<T>(exponential[i] * scaled);
          }
          gradient[label] = static_cast<T>(label_gradient);
        });
    *out = sum[0] / static_cast<double>(rows);
  }
};

}  // namespace VID2VOX::ops
