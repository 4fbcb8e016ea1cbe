#pragma once

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/matrix_view.hpp"

// The dense linear algebra that a library or a device can compute in place of the headers. An
// engine is a table of functions; what it leaves null, the headers compute. All matrices are
// row-major.

namespace VID2VOX::linalg {

/// The serial matrix products within layers, of pieces that fit the caches:
/// c = op(a) op(b), or c += op(a) op(b) if `accumulate`, summed in float32. The functions are
/// called from several threads at once and compute in the thread that calls them.
struct TileProducts {
  void (*float32)(Transposed, MatrixView<const float> a, MatrixView<const float> b,
                  MatrixView<float> c, bool accumulate) = nullptr;
  /// Both null where the processor has no such products: operands are then widened to float32.
  void (*bfloat16_to_float32)(Transposed, MatrixView<const bfloat16> a,
                              MatrixView<const bfloat16> b, MatrixView<float> c,
                              bool accumulate) = nullptr;
  void (*bfloat16)(Transposed, MatrixView<const bfloat16> a, MatrixView<const bfloat16> b,
                   MatrixView<bfloat16> c) = nullptr;
};

/// The products of the ridge, c = op(a) op(b), or c += op(a) op(b) if `accumulate`. Called from
/// several threads at once; they must not start threads of their own.
struct MatrixProducts {
  void (*float32)(Transposed, MatrixView<const float> a, MatrixView<const float> b,
                  MatrixView<float> c, bool accumulate) = nullptr;
  void (*float64)(Transposed, MatrixView<const double> a, MatrixView<const double> b,
                  MatrixView<double> c, bool accumulate) = nullptr;
};

/// What plans and forecasts of a ridge must know of an engine's decompositions.
struct DecompositionCost {
  /// What an eigendecomposition of order k takes, in the time of a float64 product's operations
  /// over k^3; measured with one thread at k = 1000.
  double decompose;
  /// Whether cholesky, invert and decompose use all threads by themselves where only one calls
  /// them.
  bool threaded;
  /// Matrices of its order that `invert` takes beside the one that it replaces.
  double invert_copies;
};
/// Eigen's, which computes what an engine leaves null.
inline constexpr DecompositionCost kEigenCost{
    .decompose = 60, .threaded = false, .invert_copies = 1};

/// Solvers and decompositions in float64, all or none of them. Called from several threads at once,
/// and then they must not start threads of their own.
struct Decompositions {
  DecompositionCost cost = kEigenCost;
  /// Replaces the upper triangle of a by R with R'R = a (a: symmetric, only that triangle is read).
  /// False if a is not positive definite.
  bool (*cholesky)(MatrixView<double> a) = nullptr;
  /// b <- (R'R)^-1 b. r: [n, n], its upper triangle; b: [n, m].
  void (*solve)(MatrixView<const double> r, MatrixView<double> b) = nullptr;
  /// Replaces R in the upper triangle by that of (R'R)^-1.
  void (*invert)(MatrixView<double> r) = nullptr;
  /// Replaces a (symmetric) by its eigenvectors, one per row, and writes the eigenvalues,
  /// ascending. False if that did not converge.
  bool (*decompose)(MatrixView<double> a, double* values) = nullptr;
};

struct Engine {
  const char* name = "headers";
  TileProducts tiles{};
  MatrixProducts products{};
  Decompositions decompositions{};
};

namespace internal {
inline Engine selected_engine{};
}

/// The engine in use.
inline const Engine& engine() { return internal::selected_engine; }

/// Selects the engine of everything that is computed from here on; {} selects the headers alone.
/// Not while anything is computed. Two libraries share the work by one engine that has parts of
/// both:
///
///     linalg::Engine both = linalg::lapack_engine();
///     both.tiles = linalg::onednn_engine().tiles;
///     linalg::set_engine(both);
///
/// Results keep their bits from run to run only with the same engine.
inline void set_engine(const Engine& engine) { internal::selected_engine = engine; }

}  // namespace VID2VOX::linalg
