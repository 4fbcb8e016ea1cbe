#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"

namespace VID2VOX::encoding {

/// Which values of a run are unusable. Indices of rows and columns, ascending.
struct MissingData {
  std::vector<std::size_t> rows{};        // no finite value: a volume that was lost
  std::vector<std::size_t> not_finite{};  // columns with NaN or infinity in one of the other rows
  std::vector<std::size_t> constant{};    // columns that do not vary over the other rows
};

/// Looks through values [n, d].
inline MissingData find_missing(const xt::xtensor<float, 2>& values) {
  const std::size_t n = values.shape(0);
  const std::size_t d = values.shape(1);
  MissingData missing;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < n; ++i) {
    const float* row = values.data() + i * d;
    const bool any = std::any_of(row, row + d, [](float v) { return std::isfinite(v); });
    (any ? rows : missing.rows).push_back(i);
  }
  std::vector<char> finite(d, 1);
  std::vector<char> varies(d, 0);
  for (const std::size_t i : rows) {
    for (std::size_t j = 0; j < d; ++j) {
      const float value = values(i, j);
      if (!std::isfinite(value)) finite[j] = 0;
      if (value != values(rows.front(), j)) varies[j] = 1;
    }
  }
  for (std::size_t j = 0; j < d; ++j) {
    if (finite[j] == 0) {
      missing.not_finite.push_back(j);
    } else if (varies[j] == 0) {
      missing.constant.push_back(j);
    }
  }
  return missing;
}

/// Means of groups of columns (the voxels of each parcel), in float64, without the columns that are
/// constant or not finite: [n, groups]. A group without a usable column is NaN, as are missing
/// rows. groups: indices of columns of values [n, d].
inline xt::xtensor<float, 2> group_means(const xt::xtensor<float, 2>& values,
                                         const std::vector<std::vector<std::size_t>>& groups,
                                         const MissingData& missing) {
  const std::size_t n = values.shape(0);
  std::vector<char> usable(values.shape(1), 1);
  for (const std::size_t j : missing.not_finite) usable[j] = 0;
  for (const std::size_t j : missing.constant) usable[j] = 0;
  auto means = xt::xtensor<float, 2>::from_shape({n, groups.size()});
  parallel_for(n, [&](std::size_t i) {
    for (std::size_t g = 0; g < groups.size(); ++g) {
      double sum = 0;
      double count = 0;
      for (const std::size_t j : groups[g]) {
        if (usable[j] == 0) continue;
        sum += static_cast<double>(values(i, j));
        ++count;
      }
      means(i, g) =
          count > 0 ? static_cast<float>(sum / count) : std::numeric_limits<float>::quiet_NaN();
    }
  });
  return means;
}

struct CleanOptions {
  bool detrend = true;  // also take out a straight line
  bool zscore = true;   // divide by the population standard deviation of what remains
};

struct CleanReport {
  MissingData missing{};
  std::vector<std::size_t> explained{};  // columns of which the confounds leave nothing
  std::size_t regressors = 0;            // that were independent, with the constant
};

namespace internal {

/// Regressors made orthonormal over the given rows: Gram-Schmidt, twice for each column (Giraud et
/// al. 2005: twice is enough). Columns that add nothing are left out.
template <class = void>  // instantiated only where it is called
Eigen::MatrixXd orthonormal_regressors(const std::vector<std::vector<double>>& columns,
                                       const std::vector<std::size_t>& rows) {
  constexpr double kNegligible = 1e-7;  // of a column's own length
  const auto n = static_cast<Eigen::Index>(rows.size());
  Eigen::MatrixXd basis(n, static_cast<Eigen::Index>(columns.size()));
  Eigen::Index rank = 0;
  for (const std::vector<double>& column : columns) {
    Eigen::VectorXd v(n);
    for (Eigen::Index i = 0; i < n; ++i) v[i] = column[rows[static_cast<std::size_t>(i)]];
    const double length = v.norm();
    for (int pass = 0; pass < 2; ++pass) {
      const auto before = basis.leftCols(rank);
      v -= before * (before.transpose() * v).eval();
    }
    if (!(v.norm() > kNegligible * length)) continue;
    basis.col(rank++) = v.normalized();
  }
  return basis.leftCols(rank);
}

/// A constant, a line if asked, and the confounds: [regressors][n].
inline std::vector<std::vector<double>> regressor_columns(
    const std::vector<std::vector<double>>& confounds, std::size_t n, bool detrend,
    const std::string& where) {
  std::vector<std::vector<double>> columns(1, std::vector<double>(n, 1.0));
  if (detrend) {
    std::vector<double>& line = columns.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i) {
      line[i] = static_cast<double>(i) - (static_cast<double>(n) - 1) / 2;
    }
  }
  for (const std::vector<double>& confound : confounds) {
    const bool finite =
        std::all_of(confound.begin(), confound.end(), [](double v) { return std::isfinite(v); });
    if (confound.size() != n || !finite) {
      throw Error("a confound of " + std::to_string(confound.size()) +
                      (finite ? "" : " not finite") + " values for " + std::to_string(n) +
                      " volumes",
                  where, "give the confounds of this run");
    }
    columns.push_back(confound);
  }
  return columns;
}

/// Takes the basis out of the given rows of values, in place, and z-scores what remains if asked.
/// Returns for each column whether the basis explained all of it; it is 0 then.
template <class = void>  // instantiated only where it is called
std::vector<char> take_residuals(xt::xtensor<float, 2>& values,
                                 const std::vector<std::size_t>& rows, const Eigen::MatrixXd& basis,
                                 bool zscore) {
  constexpr double kNothing = 1e-6;  // of the deviation before: float data's rounding
  const std::size_t d = values.shape(1);
  std::vector<char> explained(d, 0);
  constexpr std::size_t kColumns = 128;
  parallel_ranges(d, kColumns, [&](std::size_t begin, std::size_t end) {
    Eigen::MatrixXd y(basis.rows(), static_cast<Eigen::Index>(end - begin));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t j = begin; j < end; ++j) {
        const float value = values(rows[i], j);
        y(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j - begin)) =
            std::isfinite(value) ? static_cast<double>(value) : 0.0;
      }
    }
    // Rounding is relative to the deviation, not to the mean.
    y.rowwise() -= y.colwise().mean().eval();
    const Eigen::RowVectorXd before = y.colwise().norm();
    y -= basis * (basis.transpose() * y).eval();
    for (std::size_t j = begin; j < end; ++j) {
      auto column = y.col(static_cast<Eigen::Index>(j - begin));
      const double norm = column.norm();
      if (!(norm > kNothing * before[static_cast<Eigen::Index>(j - begin)])) {
        explained[j] = 1;
        column.setZero();
      } else if (zscore) {
        column *= std::sqrt(static_cast<double>(rows.size())) / norm;
      }
      for (std::size_t i = 0; i < rows.size(); ++i) {
        values(rows[i], j) = static_cast<float>(column[static_cast<Eigen::Index>(i)]);
      }
    }
  });
  return explained;
}

}  // namespace internal

/// Cleans one run in place: a constant, a line (if asked) and the confounds are regressed out in
/// one least-squares fit (so that no step brings back what another removed: Lindquist et al. 2019,
/// Hum Brain Mapp 40:2358), then each column is z-scored. values: [n, d], in float64 inside;
/// confounds: [confounds][n]. Missing rows become NaN and take no part; columns that are not finite
/// become NaN, constant ones and those of which nothing is left become 0. All are reported. Throws
/// Error for confounds of another length or with values that are no numbers, and if the regressors
/// leave no degree of freedom.
template <class = void>  // instantiated only where it is called
CleanReport clean_run(xt::xtensor<float, 2>& values,
                      const std::vector<std::vector<double>>& confounds,
                      const CleanOptions& options, const std::string& where) {
  const std::size_t n = values.shape(0);
  const std::size_t d = values.shape(1);
  CleanReport report{find_missing(values), {}, 0};
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::binary_search(report.missing.rows.begin(), report.missing.rows.end(), i)) {
      rows.push_back(i);
    }
  }
  const auto columns = internal::regressor_columns(confounds, n, options.detrend, where);
  const Eigen::MatrixXd basis = internal::orthonormal_regressors(columns, rows);
  report.regressors = static_cast<std::size_t>(basis.cols());
  if (report.regressors >= rows.size()) {
    throw Error(std::to_string(report.regressors) + " independent regressors for " +
                    std::to_string(rows.size()) + " volumes",
                where, "take fewer confounds");
  }
  std::vector<char> explained = internal::take_residuals(values, rows, basis, options.zscore);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t i : report.missing.rows) {
    std::fill_n(values.data() + i * d, d, kNan);
  }
  for (const std::size_t j : report.missing.not_finite) {
    explained[j] = 0;
    for (std::size_t i = 0; i < n; ++i) values(i, j) = kNan;
  }
  for (const std::size_t j : report.missing.constant) explained[j] = 0;
  for (std::size_t j = 0; j < d; ++j) {
    if (explained[j] != 0) report.explained.push_back(j);
  }
  return report;
}

}  // namespace VID2VOX::encoding
