#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/linalg/engine.hpp"

namespace VID2VOX::encoding {

/// The size of a fit.
struct RidgeSize {
  double rows = 0;
  double features = 0;
  double targets = 0;
  double folds = 0;  // 0: no cross-validation
  double alphas = 0;
  double item_bytes = 4;   // of T
  double cross_bytes = 4;  // of the type of X'Y: more than item_bytes where T's rounding would show
  bool in_place = false;   // fit_ridge_in_place: no copy of the features

  [[nodiscard]] double fold_rows() const { return folds > 0 ? rows / folds : 0; }
};

/// How a fit is done, and what that takes.
struct RidgePlan {
  bool primal = true;
  bool kernel = false;            // folds by FoldMethod::kKernel
  bool triangular = false;        // kGram: predictions' squares from cross products
  bool solve_each_alpha = false;  // the result: one Cholesky factor an alpha, no decomposition
  std::size_t batch = 0;          // targets in work at a time
  std::size_t piece = 0;          // targets of a thread's piece
  std::size_t fold_group = 0;     // folds decomposed at a time
  std::size_t alpha_group = 0;    // kKernel: alphas at a time, if they all have to be solved
  std::size_t side_by_side = 1;   // decompositions at the same time
  double bytes = 0;               // the largest need of a phase, features and targets not counted
};

namespace internal {

// Operations are counted in T's products; a float64 product takes twice as long as a float32 one.
inline double float64_factor(const RidgeSize& size) { return size.item_bytes < 8 ? 2 : 1; }

/// Squares of predictions by R, R'R = X_f'X_f: cheaper where a fold has more rows than features.
inline bool triangular_is_cheaper(const RidgeSize& size) {
  const double p = size.features;
  const double by_rows = 2 * size.fold_rows() * p * size.alphas;
  return 2 * p * p + p * p * size.alphas < by_rows;
}

/// Operations of scoring all folds by decompositions of X'X.
inline double gram_cost(const RidgeSize& size, double decompose_cost) {
  const double p = size.features;
  const double f64 = float64_factor(size);
  const double fold = f64 * ((decompose_cost + 4) * p * p * p + 2 * size.fold_rows() * p * p);
  const double cross = size.cross_bytes > size.item_bytes ? f64 : 1;
  const double test = triangular_is_cheaper(size) ? 2 * cross * p * p + p * p * size.alphas
                                                  : 2 * size.fold_rows() * p * size.alphas;
  const double a_target = cross * 2 * size.rows * p + size.folds * (cross * 2 * p * p + test);
  return size.folds * fold + size.targets * a_target;
}

/// Operations of scoring all folds by inverses of XX' + alpha I.
inline double kernel_cost(const RidgeSize& size) {
  const double n = size.rows;
  const double held = size.fold_rows();
  const double train = n - held;
  const double f64 = float64_factor(size);
  constexpr double kInverse = 1.5;  // of n^3: Cholesky and inverse, in the time of products
  const double inverse = kInverse * n * n * n;
  const double folds = size.folds * (held * held * held / 3 + 2 * held * held * n);
  const double a_target = 2 * size.folds * held * train * size.alphas;
  return f64 * (n * n * size.features + size.alphas * (inverse + folds)) + size.targets * a_target;
}

/// Operations of the result by one factor an alpha, and by a decomposition. order: rows or
/// features.
inline double solve_cost(const RidgeSize& size, double order) {
  const double f64 = float64_factor(size);
  return f64 * (size.alphas * order * order * order / 2 + 2 * order * order * size.targets);
}
inline double decompose_result_cost(const RidgeSize& size, double order, double decompose_cost) {
  return float64_factor(size) * decompose_cost * order * order * order +
         4 * order * order * size.targets;
}

}  // namespace internal

/// The cheaper method of folds for this size with the engine in use.
inline FoldMethod choose_fold_method(const RidgeSize& size) {
  // Without more training rows than features X'X is singular, and cross products lose what a
  // small alpha leaves of its null directions.
  if (size.rows - size.fold_rows() <= size.features) return FoldMethod::kKernel;
  return internal::gram_cost(size, linalg::engine().decompositions.cost.decompose) <
                 internal::kernel_cost(size)
             ? FoldMethod::kGram
             : FoldMethod::kKernel;
}

namespace internal {

inline std::size_t whole(double value) { return static_cast<std::size_t>(value); }

/// Bytes of one decomposition's work: the matrix, its vectors, two products, LAPACK's work.
inline double decompose_bytes(double order) {
  constexpr double kMatrices = 6;
  return kMatrices * sizeof(double) * order * order;
}

/// Bytes that the scoring of a piece takes, with all predictions of its folds.
inline double piece_bytes(const RidgeSize& size, const RidgePlan& plan) {
  const double b = static_cast<double>(plan.piece);
  if (size.folds == 0) return 0;
  const double held = size.fold_rows();
  if (plan.kernel) {
    return b * size.item_bytes * held * (1 + static_cast<double>(plan.alpha_group));
  }
  const double p = size.features;
  const double height = plan.triangular ? p : held;
  const double wide = size.cross_bytes > size.item_bytes ? size.rows * size.cross_bytes : 0;
  return b * (wide + size.cross_bytes * p * (size.folds + 3) +
              size.item_bytes * size.alphas * (p + height));
}

/// Bytes of what scoring keeps beside batches: decompositions or predictors.
inline double kept_bytes(const RidgeSize& size, const RidgePlan& plan) {
  if (size.folds == 0) return 0;
  const double held = size.fold_rows();
  if (plan.kernel) {
    return static_cast<double>(plan.alpha_group) * size.rows * (size.rows - held) * size.item_bytes;
  }
  const double p = size.features;
  const double other = plan.triangular ? p : held;
  const double wide = size.cross_bytes > size.item_bytes ? size.rows * p * size.cross_bytes : 0;
  return wide + static_cast<double>(plan.fold_group) * p *
                    (size.cross_bytes * p + size.item_bytes * other);
}

inline double plan_bytes(const RidgeSize& size, const RidgePlan& plan, double threads) {
  const double order = plan.primal ? size.features : size.rows;
  const double result = order * size.targets * size.item_bytes;
  const double scores = size.folds > 0 ? size.alphas * size.targets * sizeof(double) : 0;
  const double copy =  // ordered, centered
      size.in_place ? 0 : size.rows * size.features * size.item_bytes;
  const double grams = (plan.kernel ? size.rows * size.rows : size.features * size.features) *
                       sizeof(double) * (size.folds > 0 ? 1 : 0);
  const double side = static_cast<double>(plan.side_by_side);
  const double kept = kept_bytes(size, plan);
  const double held = size.fold_rows();
  const double inverses =
      (1 + linalg::engine().decompositions.cost.invert_copies) * size.rows * size.rows;
  const double own = plan.kernel
                         ? sizeof(double) * (inverses + held * (size.rows - held))
                         : decompose_bytes(size.features) + sizeof(double) * held * size.features;
  const double decompose = size.folds == 0 ? 0 : side * own;
  const double batch = size.rows * static_cast<double>(plan.batch) * size.item_bytes;
  const double scoring = result + batch + threads * piece_bytes(size, plan);
  const double last = result + (plan.solve_each_alpha ? 2 * sizeof(double) * order * order
                                                      : decompose_bytes(order));
  // After the first group of folds or alphas, decomposing stands beside what was read for the
  // result.
  const bool groups = plan.kernel ? static_cast<double>(plan.alpha_group) < size.alphas
                                  : static_cast<double>(plan.fold_group) < size.folds;
  const double before = groups ? result : 0;
  return copy + scores +
         std::max({grams + kept + before + decompose, grams + kept + scoring, last});
}

}  // namespace internal

/// How to fit a problem of this size within options.memory bytes. threads: how many work. Throws
/// Error if that is too little, with what is needed.
inline RidgePlan plan_ridge(const RidgeSize& size, const RidgeOptions& options, int threads) {
  RidgePlan plan;
  plan.primal = options.form == RidgeForm::kPrimal ||
                (options.form == RidgeForm::kAuto && size.features <= size.rows);
  const FoldMethod method = options.method == FoldMethod::kAuto && size.folds > 0
                                ? choose_fold_method(size)
                                : options.method;
  plan.kernel = size.folds > 0 && method == FoldMethod::kKernel;
  plan.triangular = !plan.kernel && size.folds > 0 && internal::triangular_is_cheaper(size);
  const double order = plan.primal ? size.features : size.rows;
  plan.solve_each_alpha =
      internal::solve_cost(size, order) <
      internal::decompose_result_cost(size, order, linalg::engine().decompositions.cost.decompose);
  constexpr double kPiece = 256;  // targets: enough for a product's speed, few for the caches
  constexpr double kBatch = 2048;
  constexpr double kLeastPiece = 32;
  const double least_pieces = 2.0 * threads;  // so that threads end together
  plan.piece =
      internal::whole(std::clamp(std::ceil(size.targets / least_pieces), kLeastPiece, kPiece));
  plan.batch = internal::whole(std::min(size.targets, kBatch));
  plan.fold_group = internal::whole(size.folds);
  // With many more features than rows XX' is often so well conditioned that some alphas stand for
  // all (compress_alphas), and then they are needed together; else half of them saves memory.
  constexpr double kManyFeatures = 1.5;
  plan.alpha_group = internal::whole(
      size.features > kManyFeatures * size.rows ? size.alphas : std::ceil(size.alphas / 2));
  // Large decompositions one after the other, with all threads.
  constexpr double kLargeOrder = 3000;
  constexpr double kLargeKernel = 1500;
  const double tasks = plan.kernel ? size.alphas : size.folds;
  const bool large = plan.kernel
                         ? size.rows > kLargeKernel && linalg::engine().decompositions.cost.threaded
                         : size.features > kLargeOrder;
  plan.side_by_side = large ? 1 : internal::whole(std::max(1.0, std::min<double>(threads, tasks)));
  const auto fits = [&] {
    plan.bytes = internal::plan_bytes(size, plan, threads);
    return options.memory <= 0 || plan.bytes <= options.memory;
  };
  const auto shrink = [&](std::size_t& value, std::size_t least) {
    while (!fits() && value > least) value = std::max(least, (value + 1) / 2);
  };
  const auto width = static_cast<std::size_t>(kLeastPiece);
  shrink(plan.side_by_side, 1);
  shrink(plan.batch, std::min(plan.batch, plan.piece * static_cast<std::size_t>(threads)));
  shrink(plan.fold_group, 1);
  shrink(plan.alpha_group, 1);
  shrink(plan.piece, std::min(plan.piece, width));
  shrink(plan.batch, std::min(plan.batch, width));
  if (!fits()) {
    constexpr double kMebi = 1 << 20;
    throw Error("the fit needs at least " + std::to_string(internal::whole(plan.bytes / kMebi)) +
                    " MiB beside features and targets, allowed are " +
                    std::to_string(internal::whole(options.memory / kMebi)),
                "ridge memory", "allow more, or fit fewer targets at a time");
  }
  return plan;
}

}  // namespace VID2VOX::encoding
