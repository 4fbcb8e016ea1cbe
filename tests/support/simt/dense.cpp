// Stands in for cuBLAS' float64 and for cuSOLVER where kernels run without a GPU: plain loops.
#include "vid2vox/backend/cuda/dense/dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "simt/shim_record.hpp"

namespace vid2vox::backend::cuda {
namespace {

void multiply(const Float64ProductParams& p) {
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (std::size_t q = 0; q < p.k; ++q) {
        sum += p.a[p.form == MatrixForm::kTn ? q * p.a_stride + i : i * p.a_stride + q] *
               p.b[p.form == MatrixForm::kNt ? j * p.b_stride + q : q * p.b_stride + j];
      }
      double& c = p.c[i * p.c_stride + j];
      c = p.factor * sum + (p.accumulate ? c : 0);
    }
  }
}

void solve(const TriangularSolveParams& p) {
  const auto r = [&](std::size_t i, std::size_t j) { return p.r[i * p.r_stride + j]; };
  for (std::size_t step = 0; step < p.n; ++step) {
    const std::size_t i = p.transposed ? step : p.n - 1 - step;
    for (std::size_t j = 0; j < p.m; ++j) {
      double value = p.x[i * p.x_stride + j];
      const std::size_t end = p.transposed ? i : p.n;
      for (std::size_t q = p.transposed ? 0 : i + 1; q < end; ++q) {
        value -= (p.transposed ? r(q, i) : r(i, q)) * p.x[q * p.x_stride + j];
      }
      p.x[i * p.x_stride + j] = value / r(i, i);
    }
  }
}

bool factor(std::size_t n, double* a) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j) {
      double sum = a[i * n + j];
      for (std::size_t q = 0; q < i; ++q) sum -= a[q * n + i] * a[q * n + j];
      if (i == j && sum <= 0) return false;
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[i * n + i];
    }
  }
  return true;
}

/// Rotates the rows and columns p and q of a so that a(p, q) becomes 0, and the rows of v likewise.
void rotate(std::size_t n, std::size_t p, std::size_t q, std::vector<double>& a,
            std::vector<double>& v) {
  if (a[p * n + q] == 0) return;
  const double angle = std::atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]) / 2;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const auto turn = [&](double& x, double& y) {
    const double before = x;
    x = cosine * before - sine * y;
    y = sine * before + cosine * y;
  };
  for (std::size_t k = 0; k < n; ++k) turn(a[p * n + k], a[q * n + k]);
  for (std::size_t k = 0; k < n; ++k) turn(a[k * n + p], a[k * n + q]);
  for (std::size_t k = 0; k < n; ++k) turn(v[p * n + k], v[q * n + k]);
}

/// Jacobi's method.
bool decompose(std::size_t n, double* upper, double* values) {
  std::vector<double> a(n * n);
  std::vector<double> v(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    v[i * n + i] = 1;
    for (std::size_t j = i; j < n; ++j) a[i * n + j] = a[j * n + i] = upper[i * n + j];
  }
  constexpr int kSweeps = 15;  // it converges quadratically: ten are enough
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) rotate(n, p, q, a, v);
    }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return a[i * n + i] < a[j * n + j]; });
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = a[order[i] * n + order[i]];
    std::copy_n(v.data() + order[i] * n, n, upper + i * n);
  }
  return true;
}

void copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
               std::size_t row_bytes, std::size_t rows) {
  for (std::size_t i = 0; i < rows && row_bytes != 0; ++i) {
    std::memcpy(static_cast<char*>(to) + i * to_pitch,
                static_cast<const char*>(from) + i * from_pitch, row_bytes);
  }
}

}  // namespace

void launch_float64_product(const Float64ProductParams& p, Stream stream) {
  simt::shim::submit(stream, [=] { multiply(p); });
}

void launch_triangular_solve(const TriangularSolveParams& p, Stream stream) {
  simt::shim::submit(stream, [=] { solve(p); });
}

std::size_t factorization_workspace(Factorization, std::size_t n) { return n; }

bool run_factorization(const FactorizationParams& p, Stream) {
  simt::shim::forbid_in_recording("factorization");
  return p.kind == Factorization::kCholesky ? factor(p.n, p.a) : decompose(p.n, p.a, p.values);
}

std::size_t available_bytes() { return device_properties().memory_bytes; }

void copy_rows_to_device(void* device, std::size_t to_pitch, const void* host,
                         std::size_t from_pitch, std::size_t row_bytes, std::size_t rows, Stream) {
  simt::shim::forbid_in_recording("copy from the host");
  copy_rows(device, to_pitch, host, from_pitch, row_bytes, rows);
}

void copy_rows_to_host(void* host, std::size_t to_pitch, const void* device, std::size_t from_pitch,
                       std::size_t row_bytes, std::size_t rows, Stream) {
  simt::shim::forbid_in_recording("copy to the host");
  copy_rows(host, to_pitch, device, from_pitch, row_bytes, rows);
}

}  // namespace vid2vox::backend::cuda
