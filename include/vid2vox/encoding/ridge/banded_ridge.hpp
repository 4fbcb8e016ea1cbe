#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"

namespace VID2VOX::encoding {

namespace internal {

/// A gamma variate of this shape and scale 1 (Marsaglia and Tsang 2000; for shapes below 1 with
/// their boost, U^(1 / shape) times one of shape + 1).
inline double gamma_variate(RandomStream& stream, double shape) {
  if (shape < 1) {
    const double u = std::max(stream.uniform(), std::numeric_limits<double>::min());
    return gamma_variate(stream, shape + 1) * std::pow(u, 1 / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = stream.normal();
    const double v = std::pow(1 + c * x, 3);
    const double u = std::max(stream.uniform(), std::numeric_limits<double>::min());
    if (v > 0 && std::log(u) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace internal

/// Band weights to try: [candidates][spaces], each of sum 1. The first are equal, the others drawn
/// from Dirichlet distributions whose concentrations take turns: as himalaya's random search (its
/// draws differ, since its generator does). Throws Error for no candidate or space, or a
/// concentration that is not positive.
inline std::vector<std::vector<double>> dirichlet_weights(
    std::size_t candidates, std::size_t spaces, std::span<const double> concentrations,
    RandomKey key = {0, 0, stream_of("band weights")}) {
  if (candidates == 0 || spaces == 0 || concentrations.empty() ||
      !(*std::min_element(concentrations.begin(), concentrations.end()) > 0)) {
    throw Error("no candidates, spaces or concentrations, or one that is not positive",
                "band weights", "give at least one of each, for example 0.1 and 1");
  }
  std::vector<std::vector<double>> weights(candidates, std::vector<double>(spaces));
  RandomStream stream(key);
  for (std::size_t i = 0; i < candidates; ++i) {
    double sum = 0;
    for (double& weight : weights[i]) {
      weight =
          i == 0 ? 1 : internal::gamma_variate(stream, concentrations[i % concentrations.size()]);
      sum += weight;
    }
    // All of a small concentration can underflow: then one space takes all.
    if (!(sum > 0)) weights[i][static_cast<std::size_t>(stream.below(spaces))] = sum = 1;
    for (double& weight : weights[i]) weight /= sum;
  }
  return weights;
}

struct BandedOptions {
  RidgeOptions ridge;                        // alphas, score, intercept, folds, memory
  std::vector<std::vector<double>> weights;  // [candidates][spaces]: see dirichlet_weights
};

/// A ridge with several feature spaces, each with its own regularization: space k of target j has
/// alpha_j / gamma_jk, gamma_j being one of the candidates.
template <class T>
struct BandedRidge {
  std::vector<Eigen::Index> sizes;                // features of each space
  std::vector<TargetFlag> flags;                  // [targets]
  std::vector<std::vector<double>> weights;       // the candidates
  std::vector<std::size_t> candidate;             // [targets]: the chosen one
  std::vector<double> alpha;                      // [targets]; NaN where not fitted
  std::vector<double> cv_score;                   // [targets]: of the chosen
  RowMatrix<double> scores;                       // [candidates, targets]: of the best alpha
  RowMatrix<T> coefficients;                      // [p, targets], of the raw features
  Eigen::Matrix<T, 1, Eigen::Dynamic> intercept;  // [targets]; NaN where not fitted

  /// log(gamma_k / alpha) [spaces], himalaya's deltas.
  [[nodiscard]] std::vector<double> deltas(std::size_t target) const {
    std::vector<double> result;
    for (const double weight : weights[candidate[target]]) {
      result.push_back(std::log(weight / alpha[target]));
    }
    return result;
  }

  /// The part of the prediction that comes from one space: [m, count] of the targets [first, first
  /// + count), without intercept.
  [[nodiscard]] RowMatrix<T> predict_space(const MatrixRef<T>& x, std::size_t space,
                                           Eigen::Index first, Eigen::Index count) const {
    const SerialEigen serial;
    if (x.cols() != coefficients.rows() || space >= sizes.size()) {
      throw Error("space " + std::to_string(space) + " of features with " +
                      std::to_string(x.cols()) + " columns",
                  "banded ridge", "use the features that it was fitted with");
    }
    Eigen::Index row = 0;
    for (std::size_t k = 0; k < space; ++k) row += sizes[k];
    return internal::parallel_product<T>(Transposed::kNone, x.middleCols(row, sizes[space]),
                                         coefficients.block(row, first, sizes[space], count));
  }
  /// The same of all targets.
  [[nodiscard]] RowMatrix<T> predict_space(const MatrixRef<T>& x, std::size_t space) const {
    return predict_space(x, space, 0, coefficients.cols());
  }

  [[nodiscard]] RowMatrix<T> predict(const MatrixRef<T>& x) const {
    RowMatrix<T> sum = predict_space(x, 0);
    for (std::size_t space = 1; space < sizes.size(); ++space) sum += predict_space(x, space);
    sum.rowwise() += intercept;
    return sum;
  }
};

namespace internal {

/// The columns of each space times the root of its weight.
template <class T>
RowMatrix<T> scaled_spaces(const MatrixRef<T>& x, std::span<const Eigen::Index> sizes,
                           const std::vector<double>& weights) {
  RowMatrix<T> scaled = x;
  Eigen::Index first = 0;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    scaled.middleCols(first, sizes[k]) *= static_cast<T>(std::sqrt(weights[k]));
    first += sizes[k];
  }
  return scaled;
}

template <class T>
void check_bands(const MatrixRef<T>& x, std::span<const Eigen::Index> sizes,
                 const BandedOptions& options) {
  Eigen::Index sum = 0;
  for (const Eigen::Index size : sizes) sum += size;
  bool fits = sum == x.cols() && !sizes.empty() && !options.weights.empty();
  for (const auto& weights : options.weights) {
    fits = fits && weights.size() == sizes.size();
    for (const double weight : weights) fits = fits && weight >= 0 && std::isfinite(weight);
  }
  if (!fits) {
    throw Error("feature spaces of " + std::to_string(sum) + " columns for features of " +
                    std::to_string(x.cols()) + ", or weights that do not fit them",
                "banded ridge", "give the size of each space, and a weight for each");
  }
  if (options.weights.size() > 1 && options.ridge.alphas.size() < 2) {
    throw Error("one alpha for " + std::to_string(options.weights.size()) + " candidates",
                "banded ridge",
                "give a grid of alphas: candidates are compared by their scores on folds");
  }
}

/// Some of the targets of a source, ascending. Whole stretches of columns are read, since single
/// ones are slow from a file.
template <class T>
TargetSource<T> picked_targets(const TargetSource<T>& source,
                               const std::vector<Eigen::Index>& targets) {
  return {source.rows, index_of(targets.size()), [&](Eigen::Index first, MutableRef<T> out) {
            const auto end = targets.begin() + first + out.cols();
            RowMatrix<T> stretch;
            for (auto at = targets.begin() + first; at != end;) {
              const Eigen::Index begin = *at;
              stretch.resize(source.rows, std::min(out.cols(), *(end - 1) + 1 - begin));
              source.read(begin, stretch);
              for (; at != end && *at < begin + stretch.cols(); ++at) {
                out.col(at - targets.begin() - first) = stretch.col(*at - begin);
              }
            }
          }};
}

/// Solves the targets of one candidate.
template <class T>
void refit_band(const MatrixRef<T>& x, const TargetSource<T>& source,
                std::span<const std::size_t> runs, const RidgeOptions& options,
                std::size_t candidate, const std::vector<Eigen::Index>& targets,
                BandedRidge<T>& model) {
  RidgeOptions given = options;
  for (const Eigen::Index target : targets) {
    given.alpha_of_target.push_back(model.alpha[static_cast<std::size_t>(target)]);
  }
  const std::vector<double>& weights = model.weights[candidate];
  const auto fit = fit_ridge_in_place<T>(scaled_spaces<T>(x, model.sizes, weights),
                                         picked_targets<T>(source, targets), runs, given);
  constexpr Eigen::Index kPiece = 1024;  // targets whose weights are held beside the fit's
  for (Eigen::Index begin = 0; begin < index_of(targets.size()); begin += kPiece) {
    const Eigen::Index count = std::min(kPiece, index_of(targets.size()) - begin);
    RowMatrix<T> solution = fit.weights(begin, count);
    const auto intercepts = fit.intercepts(begin, count);
    Eigen::Index first = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      solution.middleRows(first, model.sizes[k]) *= static_cast<T>(std::sqrt(weights[k]));
      first += model.sizes[k];
    }
    for (Eigen::Index j = 0; j < count; ++j) {
      const Eigen::Index target = targets[static_cast<std::size_t>(begin + j)];
      model.coefficients.col(target) = solution.col(j);
      model.intercept[target] = intercepts[j];
    }
  }
}

}  // namespace internal

/// Banded ridge regression by random search (Dupre la Tour et al. 2022): each candidate scales the
/// feature spaces by the roots of its weights; alphas of each are chosen as `fit_ridge` does; each
/// target takes the candidate with the best score, the first of those that are equal to rounding,
/// and is solved again on all rows. x: [n, p], the spaces side by side; sizes: columns of each;
/// source: y [n, targets], read once or twice for each candidate and once more.
/// options.ridge.memory bounds each of the fits; beside it are a copy of x, the weights [p,
/// targets] and the scores [candidates, targets]. Throws Error as fit_ridge, for weights or sizes
/// that do not fit, and for a single alpha (candidates are compared by their scores on folds).
template <class T>
BandedRidge<T> fit_banded_ridge(const MatrixRef<T>& x, std::span<const Eigen::Index> sizes,
                                const TargetSource<T>& source,
                                std::span<const std::size_t> run_of_row,
                                const BandedOptions& options) {
  internal::check_bands<T>(x, sizes, options);
  const auto targets = static_cast<std::size_t>(source.targets);
  BandedRidge<T> model;
  model.sizes.assign(sizes.begin(), sizes.end());
  model.weights = options.weights;
  model.candidate.assign(targets, 0);
  model.alpha.assign(targets, std::numeric_limits<double>::quiet_NaN());
  model.cv_score.assign(targets, -std::numeric_limits<double>::infinity());
  model.scores.resize(internal::index_of(options.weights.size()), source.targets);
  RidgeOptions search = options.ridge;
  search.solve = false;
  for (std::size_t i = 0; i < options.weights.size(); ++i) {
    const auto fit = fit_ridge_in_place<T>(internal::scaled_spaces<T>(x, sizes, options.weights[i]),
                                           source, run_of_row, search);
    model.flags = fit.flags;
    for (std::size_t j = 0; j < targets; ++j) {
      model.scores(internal::index_of(i), internal::index_of(j)) = fit.cv_score[j];
      // himalaya's margin.
      const double margin = std::numeric_limits<T>::epsilon();
      const bool better = fit.cv_score[j] > model.cv_score[j] + margin;
      if (i > 0 && !better) continue;
      model.candidate[j] = i;
      model.alpha[j] = fit.alpha[j];
      if (better) model.cv_score[j] = fit.cv_score[j];
    }
  }
  model.coefficients = RowMatrix<T>::Zero(x.cols(), source.targets);
  model.intercept.setConstant(source.targets, std::numeric_limits<T>::quiet_NaN());
  std::map<std::size_t, std::vector<Eigen::Index>> groups;
  for (std::size_t j = 0; j < targets; ++j) {
    if (model.flags[j] == TargetFlag::kFitted) {
      groups[model.candidate[j]].push_back(internal::index_of(j));
    }
  }
  for (const auto& [candidate, group] : groups) {
    internal::refit_band<T>(x, source, run_of_row, options.ridge, candidate, group, model);
  }
  return model;
}

/// The same with y [n, targets] in memory.
template <class T>
BandedRidge<T> fit_banded_ridge(const MatrixRef<T>& x, std::span<const Eigen::Index> sizes,
                                const MatrixRef<T>& y, std::span<const std::size_t> run_of_row,
                                const BandedOptions& options) {
  return fit_banded_ridge<T>(x, sizes, in_memory<T>(y), run_of_row, options);
}

/// The share of each space in the R2 of a joint prediction, by the product measure (Pratt 1987; as
/// himalaya's r2_score_split): sum of p_k (2 y - p) over the sum of y^2, p = sum of p_k, around the
/// means of these rows. The shares add up to the R2 of predictions without error of the mean.
/// parts: [spaces] of [m, targets]; y: [m, targets]. Returns [spaces, targets]; NaN for targets
/// that do not vary.
template <class T>
RowMatrix<double> split_r2(const std::vector<RowMatrix<T>>& parts, const MatrixRef<T>& y) {
  RowMatrix<double> result(internal::index_of(parts.size()), y.cols());
  for (const auto& part : parts) {
    if (part.rows() != y.rows() || part.cols() != y.cols()) {
      throw Error("parts of a prediction that differ in shape from the targets", "split R2",
                  "give each space's prediction of the same rows");
    }
  }
  parallel_for(static_cast<std::size_t>(y.cols()), [&](std::size_t target) {
    const Eigen::Index j = internal::index_of(target);
    const auto centered = [](const auto& column) {
      const Eigen::VectorXd wide = column.template cast<double>();
      return Eigen::VectorXd(wide.array() - wide.mean());
    };
    const Eigen::VectorXd truth = centered(y.col(j));
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(y.rows());
    for (const auto& part : parts) sum += centered(part.col(j));
    const double total = truth.squaredNorm();
    for (std::size_t k = 0; k < parts.size(); ++k) {
      result(internal::index_of(k), j) =
          total > 0 ? centered(parts[k].col(j)).dot(2 * truth - sum) / total
                    : std::numeric_limits<double>::quiet_NaN();
    }
  });
  return result;
}

}  // namespace VID2VOX::encoding
