#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "vid2vox/backend/cuda/dense/dense.hpp"
#include "vid2vox/backend/cuda/dense/host_matrix_memory.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/matrix_view.hpp"

// Linear algebra on row-major matrices of the host, computed on the GPU: products, Cholesky factors
// and what they solve, eigenvectors. Matrices go to the device in tiles, so only an
// eigendecomposition needs the whole matrix there. The functions may be called from several threads
// at once, wait for the device, and throw an Error where there is none.

namespace VID2VOX_BACKEND_CUDA {

/// Sizes of the tiles of a product c [m, n] = a b, with sums of k terms.
struct ProductTiles {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  /// Numbers in a tile of each of the three matrices.
  [[nodiscard]] std::size_t items() const { return m * n + m * k + k * n; }
};

/// The tiles of a product (m, n, k not 0) that hold at most `items` numbers: the whole if it fits;
/// else half of it is the result's tile, as square as it may be, since the other two are sent anew
/// for each. At least one number of each matrix.
inline ProductTiles product_tiles(std::size_t m, std::size_t n, std::size_t k, std::size_t items) {
  const ProductTiles whole{m, n, k};
  if (whole.items() <= items) return whole;
  const std::size_t half = std::max<std::size_t>(items / 2, 1);
  constexpr std::size_t kAligned = 16;  // float64 in a line of 128 bytes, which rows begin with
  const auto cut = [](std::size_t extent, std::size_t most) {
    if (extent <= most) return extent;
    return most > kAligned ? most - most % kAligned : std::max<std::size_t>(most, 1);
  };
  ProductTiles tiles;
  tiles.m = cut(m, static_cast<std::size_t>(std::sqrt(static_cast<double>(half))));
  // Less than half where a single term would take more than half.
  tiles.n = cut(n, std::min(half / tiles.m, half - tiles.m));
  tiles.m = cut(m, std::min(half / tiles.n, half - tiles.n));
  tiles.k = cut(k, half / (tiles.m + tiles.n));
  return tiles;
}

namespace internal {

using MemoryShare = HostMatrixMemory::Share;

template <class T>
MatrixView<T> block(const MatrixView<T>& a, std::size_t row, std::size_t col, std::size_t rows,
                    std::size_t cols) {
  return {a.data + row * a.stride + col, rows, cols, a.stride};
}
template <class T>
MatrixView<const T> read_only(const MatrixView<T>& a) {
  return {a.data, a.rows, a.cols, a.stride};
}

/// Sends a matrix; without gaps on the device.
template <class T>
void send(const MatrixView<const T>& host, DeviceBuffer<T>& device, Stream stream) {
  const std::size_t row_bytes = host.cols * sizeof(T);
  copy_rows_to_device(device.data(), row_bytes, host.data, host.stride * sizeof(T), row_bytes,
                      host.rows, stream);
}
/// Fetches as many rows as `host` has.
template <class T>
void fetch(const DeviceBuffer<T>& device, const MatrixView<T>& host, Stream stream) {
  const std::size_t row_bytes = host.cols * sizeof(T);
  copy_rows_to_host(host.data, host.stride * sizeof(T), device.data(), row_bytes, row_bytes,
                    host.rows, stream);
}

inline MatrixForm form_of(Transposed transposed) {
  if (transposed == Transposed::kLeft) return MatrixForm::kTn;
  return transposed == Transposed::kRight ? MatrixForm::kNt : MatrixForm::kNn;
}

/// A product of tiles without gaps; `stride`: the columns of a and b as they lie there.
inline void multiply_tiles(MatrixForm form, const ProductTiles& t, float, bool accumulate,
                           const DeviceBuffer<float>& a, const DeviceBuffer<float>& b,
                           DeviceBuffer<float>& c, Stream stream) {
  launch_matrix_product({.form = form,
                         .accumulate = accumulate,
                         .m = t.m,
                         .n = t.n,
                         .k = t.k,
                         .a = a.data(),
                         .a_stride = form == MatrixForm::kTn ? t.m : t.k,
                         .b = b.data(),
                         .b_stride = form == MatrixForm::kNt ? t.k : t.n,
                         .c = c.data(),
                         .c_stride = t.n},
                        stream);
}
inline void multiply_tiles(MatrixForm form, const ProductTiles& t, double factor, bool accumulate,
                           const DeviceBuffer<double>& a, const DeviceBuffer<double>& b,
                           DeviceBuffer<double>& c, Stream stream) {
  launch_float64_product({.form = form,
                          .factor = factor,
                          .accumulate = accumulate,
                          .m = t.m,
                          .n = t.n,
                          .k = t.k,
                          .a = a.data(),
                          .a_stride = form == MatrixForm::kTn ? t.m : t.k,
                          .b = b.data(),
                          .b_stride = form == MatrixForm::kNt ? t.k : t.n,
                          .c = c.data(),
                          .c_stride = t.n},
                         stream);
}

/// c = factor op(a) op(b), or is added to c. factor: 1 if T is float.
template <class T>
void tiled_product(Transposed transposed, T factor, const MatrixView<const T>& a,
                   const MatrixView<const T>& b, const MatrixView<T>& c, bool accumulate) {
  if (c.rows == 0 || c.cols == 0) return;
  const bool left = transposed == Transposed::kLeft;
  const bool right = transposed == Transposed::kRight;
  const std::size_t terms = left ? a.rows : a.cols;
  if (terms == 0) {
    for (std::size_t i = 0; i < c.rows && !accumulate; ++i) {
      std::fill_n(c.data + i * c.stride, c.cols, T(0));
    }
    return;
  }
  auto& memory = HostMatrixMemory::instance();
  const ProductTiles most = product_tiles(c.rows, c.cols, terms, memory.call_limit() / sizeof(T));
  const MemoryShare share(memory, most.items() * sizeof(T));
  const Stream stream = current_stream();
  DeviceBuffer<T> a_tile(most.m * most.k, stream);
  DeviceBuffer<T> b_tile(most.k * most.n, stream);
  DeviceBuffer<T> c_tile(most.m * most.n, stream);
  for (std::size_t i = 0; i < c.rows; i += most.m) {
    for (std::size_t j = 0; j < c.cols; j += most.n) {
      ProductTiles t{std::min(most.m, c.rows - i), std::min(most.n, c.cols - j), 0};
      const MatrixView<T> result = block(c, i, j, t.m, t.n);
      if (accumulate) send(read_only(result), c_tile, stream);
      for (std::size_t p = 0; p < terms; p += most.k) {
        t.k = std::min(most.k, terms - p);
        send(left ? block(a, p, i, t.k, t.m) : block(a, i, p, t.m, t.k), a_tile, stream);
        send(right ? block(b, j, p, t.n, t.k) : block(b, p, j, t.k, t.n), b_tile, stream);
        multiply_tiles(form_of(transposed), t, factor, accumulate || p > 0, a_tile, b_tile, c_tile,
                       stream);
      }
      fetch(c_tile, result, stream);
    }
  }
}

inline std::size_t square_bytes(std::size_t n) { return n * n * sizeof(double); }

/// Whether R [n, n] stays on the device while what it solves passes by.
inline bool holds_factor(std::size_t n) {
  return n == 1 || square_bytes(n) <= HostMatrixMemory::instance().limit() / 2;
}

/// A triangular matrix in the device's memory, and columns that it solves.
class DeviceFactor {
 public:
  /// columns: the most that will be solved.
  DeviceFactor(const MatrixView<const double>& r, std::size_t columns)
      : n_(r.rows),
        width_(std::clamp<std::size_t>(
            HostMatrixMemory::instance().call_limit() / (r.rows * sizeof(double)), 1, columns)),
        share_(HostMatrixMemory::instance(), square_bytes(n_) + n_ * width_ * sizeof(double)),
        stream_(current_stream()),
        r_(n_ * n_, stream_),
        x_(n_ * width_, stream_) {
    send(r, r_, stream_);
  }

  /// Calls body(first, count) for as many of the columns as there is memory for at a time.
  template <class Body>
  void for_columns(std::size_t columns, const Body& body) const {
    for (std::size_t j = 0; j < columns; j += width_) body(j, std::min(width_, columns - j));
  }
  /// x [n, count] <- R^-T x if `transposed`, else R^-1 x.
  void solve(bool transposed, std::size_t count) {
    launch_triangular_solve({.transposed = transposed,
                             .n = n_,
                             .m = count,
                             .r = r_.data(),
                             .r_stride = n_,
                             .x = x_.data(),
                             .x_stride = count},
                            stream_);
  }
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] Stream stream() const { return stream_; }
  [[nodiscard]] DeviceBuffer<double>& x() { return x_; }

 private:
  std::size_t n_;
  std::size_t width_;
  MemoryShare share_;
  Stream stream_;
  DeviceBuffer<double> r_;  // [n, n]
  DeviceBuffer<double> x_;  // [n, up to width]
};

/// b <- R^-T b or R^-1 b, one after the other as `transposed` says; R fits.
inline void solve_whole(std::initializer_list<bool> transposed, const MatrixView<const double>& r,
                        const MatrixView<double>& b) {
  DeviceFactor factor(r, b.cols);
  factor.for_columns(b.cols, [&](std::size_t first, std::size_t count) {
    const MatrixView<double> columns = block(b, 0, first, b.rows, count);
    send(read_only(columns), factor.x(), factor.stream());
    for (const bool step : transposed) factor.solve(step, count);
    fetch(factor.x(), columns, factor.stream());
  });
}

/// Where a matrix of order n is cut in four.
struct Quarters {
  std::size_t first, rest;
  explicit Quarters(std::size_t n) : first(n / 2), rest(n - n / 2) {}
  template <class T>
  MatrixView<T> head(const MatrixView<T>& a) const {
    return block(a, 0, 0, first, first);
  }
  template <class T>
  MatrixView<T> side(const MatrixView<T>& a) const {
    return block(a, 0, first, first, rest);
  }
  template <class T>
  MatrixView<T> tail(const MatrixView<T>& a) const {
    return block(a, first, first, rest, rest);
  }
};

/// b <- R^-T b if `transposed`, else R^-1 b.
inline void solve_triangular(bool transposed, const MatrixView<const double>& r,
                             const MatrixView<double>& b) {
  if (holds_factor(r.rows)) return solve_whole({transposed}, r, b);
  const Quarters quarters(r.rows);
  const MatrixView<double> top = block(b, 0, 0, quarters.first, b.cols);
  const MatrixView<double> bottom = block(b, quarters.first, 0, quarters.rest, b.cols);
  const auto side = quarters.side(r);
  if (transposed) {
    solve_triangular(true, quarters.head(r), top);
    tiled_product<double>(Transposed::kLeft, -1, side, read_only(top), bottom, true);
    solve_triangular(true, quarters.tail(r), bottom);
  } else {
    solve_triangular(false, quarters.tail(r), bottom);
    tiled_product<double>(Transposed::kNone, -1, side, read_only(bottom), top, true);
    solve_triangular(false, quarters.head(r), top);
  }
}

inline bool cholesky_whole(const MatrixView<double>& a, std::size_t bytes) {
  const MemoryShare share(HostMatrixMemory::instance(), bytes);
  const Stream stream = current_stream();
  DeviceBuffer<double> matrix(a.rows * a.rows, stream);
  send(read_only(a), matrix, stream);
  if (!run_factorization({.kind = Factorization::kCholesky, .n = a.rows, .a = matrix.data()},
                         stream)) {
    return false;
  }
  fetch(matrix, a, stream);
  for (std::size_t i = 0; i < a.rows; ++i) {
    if (!(a.data[i * a.stride + i] > 0)) return false;  // NaN too
  }
  return true;
}

/// The columns of the inverse are what R'R makes the identity's columns of.
inline void invert_whole(const MatrixView<double>& r) {
  const std::size_t n = r.rows;
  DeviceFactor factor(read_only(r), n);
  const DeviceBuffer<double> ones(std::vector<double>(factor.width(), 1.0), factor.stream());
  factor.for_columns(n, [&](std::size_t first, std::size_t count) {
    double* const x = factor.x().data();
    fill_bytes(x, 0, n * count * sizeof(double), factor.stream());
    copy_rows_on_device(x + first * count, (count + 1) * sizeof(double), ones.data(),
                        sizeof(double), sizeof(double), count, factor.stream());
    factor.solve(true, count);
    factor.solve(false, count);
    fetch(factor.x(), block(r, 0, first, first + count, count), factor.stream());
  });
}

inline bool all_finite(const MatrixView<double>& a) {
  for (std::size_t i = 0; i < a.rows; ++i) {
    const double* row = a.data + i * a.stride;
    if (!std::all_of(row, row + a.cols, [](double x) { return std::isfinite(x); })) return false;
  }
  return true;
}

}  // namespace internal

// --- What an engine of dense linear algebra needs ------------------------------------------------

/// c = op(a) op(b), or c += op(a) op(b) if `accumulate`. T: float (true float32, no TF32), double.
template <class T>
void host_product(Transposed transposed, MatrixView<const T> a, MatrixView<const T> b,
                  MatrixView<T> c, bool accumulate) {
  internal::tiled_product<T>(transposed, 1, a, b, c, accumulate);
}

/// Replaces the upper triangle of a by R with R'R = a; a is symmetric, only that triangle is read,
/// and the other has no meaning afterwards. False if a is not positive definite.
inline bool host_cholesky(MatrixView<double> a) {
  const std::size_t n = a.rows;
  if (n == 0) return true;
  const std::size_t limit = HostMatrixMemory::instance().limit();
  std::size_t bytes = internal::square_bytes(n);
  if (bytes <= limit) bytes += factorization_workspace(Factorization::kCholesky, n);
  if (bytes <= limit || n == 1) return internal::cholesky_whole(a, bytes);
  const internal::Quarters quarters(n);
  const auto head = quarters.head(a);
  const auto side = quarters.side(a);
  if (!host_cholesky(head)) return false;
  internal::solve_triangular(true, internal::read_only(head), side);
  internal::tiled_product<double>(Transposed::kLeft, -1, internal::read_only(side),
                                  internal::read_only(side), quarters.tail(a), true);
  return host_cholesky(quarters.tail(a));
}

/// b <- (R'R)^-1 b. r: [n, n], its upper triangle; b: [n, m].
inline void host_solve(MatrixView<const double> r, MatrixView<double> b) {
  if (b.rows == 0 || b.cols == 0) return;
  if (internal::holds_factor(r.rows)) return internal::solve_whole({true, false}, r, b);
  internal::solve_triangular(true, r, b);
  internal::solve_triangular(false, r, b);
}

/// Replaces R in the upper triangle by that of (R'R)^-1; the lower triangle has no meaning
/// afterwards. By columns of the identity: cuSOLVER's potri is no faster, and counts in 32 bits.
/// Where R does not fit the device, with R = [P, Q; 0, S] and W = P^-1 Q the inverse is
/// [(P'P)^-1 + W T W', -W T; ., T], T = (S'S)^-1; W takes a quarter of R on the host.
inline void host_invert(MatrixView<double> r) {
  const std::size_t n = r.rows;
  if (n == 0) return;
  if (internal::holds_factor(n)) return internal::invert_whole(r);
  const internal::Quarters quarters(n);
  const auto head = quarters.head(r);
  const auto side = quarters.side(r);
  const auto tail = quarters.tail(r);
  std::vector<double> copy(side.rows * side.cols);
  const MatrixView<double> w(copy.data(), side.rows, side.cols);
  for (std::size_t i = 0; i < side.rows; ++i) {
    std::copy_n(side.data + i * side.stride, side.cols, copy.data() + i * side.cols);
  }
  internal::solve_triangular(false, internal::read_only(head), w);
  host_invert(tail);
  for (std::size_t i = 0; i < tail.rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      tail.data[i * tail.stride + j] = tail.data[j * tail.stride + i];
    }
  }
  internal::tiled_product<double>(Transposed::kNone, -1, internal::read_only(w),
                                  internal::read_only(tail), side, false);
  host_invert(head);
  internal::tiled_product<double>(Transposed::kRight, -1, internal::read_only(side),
                                  internal::read_only(w), head, true);
}

/// Replaces a (symmetric) by its eigenvectors, one a row, and writes the eigenvalues, ascending.
/// False if that did not converge, or a holds what is not finite. Throws an Error where a and
/// cuSOLVER's work do not fit the device.
inline bool host_decompose(MatrixView<double> a, double* values) {
  const std::size_t n = a.rows;
  if (n == 0) return true;
  if (!internal::all_finite(a)) return false;  // cuSOLVER might not come back
  auto& memory = HostMatrixMemory::instance();
  const std::size_t limit = memory.limit();
  std::size_t bytes = internal::square_bytes(n) + n * sizeof(double);
  if (bytes <= limit) bytes += factorization_workspace(Factorization::kEigen, n);
  if (bytes > limit) {
    constexpr std::size_t kMega = 1000000;
    throw Error("an eigendecomposition of order " + std::to_string(n) + " takes at least " +
                    std::to_string(bytes / kMega) + " MB of the device's memory, and " +
                    std::to_string(limit / kMega) + " MB may be taken",
                "eigendecomposition on the GPU", "use a larger device, or the CPU");
  }
  const internal::MemoryShare share(memory, bytes);
  const Stream stream = current_stream();
  DeviceBuffer<double> matrix(n * n, stream);
  DeviceBuffer<double> found(n, stream);
  internal::send(internal::read_only(a), matrix, stream);
  if (!run_factorization(
          {.kind = Factorization::kEigen, .n = n, .a = matrix.data(), .values = found.data()},
          stream)) {
    return false;
  }
  internal::fetch(matrix, a, stream);
  found.download(values);
  return true;
}

}  // namespace VID2VOX_BACKEND_CUDA
