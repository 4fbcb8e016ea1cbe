#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <limits>
#include <vector>

#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/encoding/ridge/options.hpp"

namespace VID2VOX::encoding {

/// The alpha of each target, chosen by its scores on the folds.
struct ChosenAlphas {
  std::vector<std::size_t> index;  // [targets], of the grid
  std::vector<double> score;       // [targets]; mean over folds at that alpha; NaN without folds
};

namespace internal {

/// The place of the largest score; the last one, that is the largest alpha, wins ties.
template <class Scores>
Eigen::Index best_alpha(const Scores& scores) {
  Eigen::Index best = 0;
  for (Eigen::Index a = 1; a < scores.size(); ++a) {
    if (scores[a] >= scores[best]) best = a;
  }
  return best;
}

}  // namespace internal

/// Chooses alphas by the mean score over folds; the larger alpha wins ties. sums: [alphas,
/// targets], the scores of a target summed over the folds in which it varies, and folds: [targets],
/// the number of those; a target that varies in no fold gets the largest alpha. fitted: [targets];
/// targets that are not kFitted have no part in the one alpha of AlphaChoice::kGlobal.
template <class = void>  // instantiated only where it is called
ChosenAlphas choose_alphas(const RowMatrix<double>& sums, const Eigen::RowVectorXd& folds,
                           const std::vector<TargetFlag>& fitted, AlphaChoice choice) {
  ChosenAlphas chosen;
  chosen.index.assign(fitted.size(), static_cast<std::size_t>(sums.rows() - 1));
  chosen.score.assign(fitted.size(), std::numeric_limits<double>::quiet_NaN());
  Eigen::VectorXd total = Eigen::VectorXd::Zero(sums.rows());
  for (Eigen::Index j = 0; j < sums.cols(); ++j) {
    if (folds[j] == 0 || fitted[static_cast<std::size_t>(j)] != TargetFlag::kFitted) continue;
    total += sums.col(j) / folds[j];
  }
  const Eigen::Index common = internal::best_alpha(total);
  for (Eigen::Index j = 0; j < sums.cols(); ++j) {
    const auto target = static_cast<std::size_t>(j);
    if (choice == AlphaChoice::kGlobal) {
      chosen.index[target] = static_cast<std::size_t>(common);
    } else if (folds[j] > 0) {
      chosen.index[target] = static_cast<std::size_t>(internal::best_alpha(sums.col(j) / folds[j]));
    }
    if (folds[j] > 0) {
      chosen.score[target] = sums(static_cast<Eigen::Index>(chosen.index[target]), j) / folds[j];
    }
  }
  return chosen;
}

}  // namespace VID2VOX::encoding
