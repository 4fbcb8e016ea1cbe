#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/ridge/internal/decomposition.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/encoding/ridge/targets.hpp"

namespace VID2VOX::encoding {

namespace internal {

/// A fold's left-out rows, contiguous after ordering.
struct RowRange {
  Eigen::Index begin = 0;
  Eigen::Index count = 0;
};

/// The order of rows that makes each fold's left-out rows contiguous.
struct FoldRows {
  std::vector<std::size_t> order;  // order[i]: the row of the data that stands at i
  std::vector<RowRange> folds;
  bool identity = true;
  std::string description;
};

/// Throws Error unless the validation sets do not overlap and each fold trains on all other rows.
inline FoldRows order_rows(const std::vector<Fold>& folds, std::size_t rows) {
  FoldRows result;
  std::vector<char> taken(rows, 0);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const Fold& fold = folds[f];
    result.folds.push_back({index_of(result.order.size()), index_of(fold.validation.size())});
    bool fits = fold.train.size() + fold.validation.size() == rows && !fold.validation.empty();
    for (const std::size_t row : fold.validation) {
      fits = fits && row < rows && taken[row]++ == 0;
      result.order.push_back(row);
    }
    std::vector<char> held(rows, 0);
    for (const std::size_t row : fold.validation) held[row < rows ? row : 0] = 1;
    for (const std::size_t row : fold.train) fits = fits && row < rows && held[row]++ == 0;
    if (!fits) {
      throw Error("its rows overlap others, or it does not train on all rows that it leaves out",
                  "fold " + std::to_string(f),
                  "give validation sets without common rows, each with all other rows to train");
    }
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (taken[row] == 0) result.order.push_back(row);
  }
  for (std::size_t i = 0; i < rows; ++i) result.identity &= result.order[i] == i;
  return result;
}

/// Throws Error naming the first value of x that is not finite, or for too few rows.
template <class T>
void check_features(const MatrixRef<T>& x) {
  if (x.rows() < 2 || x.cols() < 1) {
    throw Error("features of " + std::to_string(x.rows()) + " rows and " +
                    std::to_string(x.cols()) + " columns",
                "ridge", "give at least 2 rows and 1 feature");
  }
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    if (x.row(i).allFinite()) continue;
    for (Eigen::Index j = 0; j < x.cols(); ++j) {
      if (std::isfinite(x(i, j))) continue;
      throw Error("a value that is not finite in column " + std::to_string(j),
                  "feature row " + std::to_string(i),
                  "drop the row before the fit (complete_rows)");
    }
  }
}

/// The features of a fit: rows in the order of the folds, centered over all rows if there is an
/// intercept.
template <class T>
struct RidgeFeatures {
  RowMatrix<T> x;           // [n, p]
  Eigen::RowVectorXd mean;  // [p]; 0 without intercept
  FoldRows rows;
  bool intercept = true;
};

/// Without intercept, a left-out row of features that were centered over all rows is minus the sum
/// of the others: it is no test of them. Throws Error for such folds of one row.
template <class T>
void refuse_degenerate_folds(const RidgeFeatures<T>& features) {
  if (features.intercept) return;
  bool single = false;
  for (const RowRange& fold : features.rows.folds) single = single || fold.count == 1;
  if (!single) return;
  constexpr double kRoundings = 8;  // of a mean of n values in T, in units of its last place
  const double n = static_cast<double>(features.x.rows());
  const double rounding = kRoundings * std::numeric_limits<T>::epsilon();
  const Eigen::RowVectorXd sums = column_sums<T>(features.x);
  for (Eigen::Index j = 0; j < sums.size(); ++j) {
    const double size = features.x.col(j).template cast<double>().norm();
    if (std::abs(sums[j]) > rounding * std::sqrt(n) * size) return;
  }
  throw Error("features that were centered over all rows, and folds that leave one row out",
              "cross-validation",
              "each left-out row is minus the sum of the others: fit with an intercept, leave out "
              "whole runs, or center within the training rows only");
}

template <class T>
RidgeFeatures<T> prepare_features(RowMatrix<T>&& x, FoldRows&& rows, bool intercept) {
  check_features<T>(x);
  RidgeFeatures<T> result;
  result.mean = intercept ? column_means<T>(x) : Eigen::RowVectorXd::Zero(x.cols());
  result.x = std::move(x);
  result.rows = std::move(rows);
  result.intercept = intercept;
  if (!result.rows.identity) reorder_rows(result.x, result.rows.order);
  if (intercept) {
    center_rows<T>(result.x, result.mean);
  } else {
    refuse_degenerate_folds(result);
  }
  return result;
}

/// What becomes of each column of y [n, count], row by row so that memory is read in order.
template <class T>
void classify(const MatrixRef<T>& y, TargetFlag* flags) {
  Eigen::Array<T, 1, Eigen::Dynamic> lowest = y.row(0).array();
  Eigen::Array<T, 1, Eigen::Dynamic> highest = lowest;
  // x - x is 0 for finite values and NaN for all others, and NaN stays in a sum.
  Eigen::Array<T, 1, Eigen::Dynamic> broken = lowest - lowest;
  for (Eigen::Index i = 1; i < y.rows(); ++i) {
    const auto row = y.row(i).array();
    lowest = lowest.min(row);
    highest = highest.max(row);
    broken += row - row;
  }
  for (Eigen::Index j = 0; j < y.cols(); ++j) {
    flags[j] = broken[j] != 0            ? TargetFlag::kNotFinite
               : lowest[j] == highest[j] ? TargetFlag::kConstant
                                         : TargetFlag::kFitted;
  }
}

/// Targets [first, first + count) as the solvers take them.
template <class T>
struct TargetBatch {
  Eigen::Index first = 0;
  RowMatrix<T> y;           // [n, count]: rows in the order of the folds; 0 where not fitted
  Eigen::RowVectorXd mean;  // [count]; 0 without intercept. It has been taken off.
  std::vector<TargetFlag> flags;
};

inline constexpr std::size_t kFlagGrain = 256;  // targets a piece: a part of each row

template <class T>
TargetBatch<T> read_batch(const TargetSource<T>& source, const RidgeFeatures<T>& features,
                          Eigen::Index first, Eigen::Index count) {
  TargetBatch<T> batch{first, RowMatrix<T>(source.rows, count), Eigen::RowVectorXd::Zero(count),
                       std::vector<TargetFlag>(static_cast<std::size_t>(count))};
  source.read(first, batch.y);
  if (!features.rows.identity) batch.y = gather_rows<T>(batch.y, features.rows.order);
  parallel_ranges(
      static_cast<std::size_t>(count), kFlagGrain, [&](std::size_t begin, std::size_t end) {
        auto piece = batch.y.middleCols(index_of(begin), index_of(end - begin));
        classify<T>(piece, batch.flags.data() + begin);
        for (std::size_t j = begin; j < end; ++j) {
          if (batch.flags[j] != TargetFlag::kFitted) {
            batch.y.col(index_of(j)).setZero();
          }
        }
        if (!features.intercept) return;
        const Eigen::RowVectorXd mean = column_means<T>(piece);
        batch.mean.segment(index_of(begin), index_of(end - begin)) = mean;
        for (Eigen::Index i = 0; i < piece.rows(); ++i) {
          piece.row(i) = (piece.row(i).template cast<double>() - mean).template cast<T>();
        }
      });
  return batch;
}

}  // namespace internal

}  // namespace VID2VOX::encoding
