#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <variant>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/encoding/statistics/fdr.hpp"
#include "vid2vox/encoding/statistics/significance.hpp"
#include "vid2vox/runtime/ridge_job.hpp"

// The parts of run_ridge_job: rows, features, and scores of some of the targets.

namespace vid2vox::runtime {

template <class T>
Eigen::Map<encoding::RowMatrix<T>> as_matrix(xt::xtensor<T, 2>& values) {
  return {values.data(), static_cast<Eigen::Index>(values.shape(0)),
          static_cast<Eigen::Index>(values.shape(1))};
}

/// Throws Error for segments that are empty, overlap or reach from one run into the next.
void check_segments(const RidgeData& data);

/// Rows of the training or of the test segments that can be used.
struct UsedRows {
  std::vector<std::size_t> rows;
  std::vector<std::size_t> within;   // each row's number in its segment
  std::vector<std::size_t> segment;  // of each row
  std::vector<std::size_t> lengths;  // of each segment, after dropping
  std::size_t incomplete_features = 0;
  std::size_t missing_targets = 0;
};

/// Throws Error if too few are left.
UsedRows used_rows(const RidgeData& data, bool test, const std::vector<char>& complete,
                   const std::vector<char>& measured);

/// What the ridge multiplies: band by band, each delay by delay.
struct RidgeDesign {
  xt::xtensor<float, 2> x;          // [n, sum of sizes]; rows with NaN are not complete
  std::vector<Eigen::Index> sizes;  // columns of each band
  nlohmann::ordered_json pca;       // null without one
};

/// Standardizes, reduces, convolves and delays the features of all rows; what is learned comes from
/// the training segments only. Takes the features out of `data`.
RidgeDesign make_design(RidgeData& data, const RidgeJobOptions& options);

/// Scores of the test rows, some targets at a time.
class RidgeScorer {
 public:
  /// `result` has its names, alphas and flags as far as targets were fitted; `warn` takes a line.
  RidgeScorer(const UsedRows& test, const RidgeJobOptions& options, RidgeJobResult& result,
              StageTimer& timer, std::function<void(const std::string&)> warn);

  /// predicted, targets: [test rows, count], of the targets from `first` on; parts: [bands] of the
  /// same shape, the prediction of each band.
  void score(std::size_t first, xt::xtensor<float, 2> predicted, xt::xtensor<float, 2> targets,
             std::vector<xt::xtensor<float, 2>> parts);

  /// After all targets: what needs all of them, and the counts of the summary.
  void finish();

 private:
  using Array = xt::xtensor<float, 2>;

  void check_repeats(const UsedRows& test) const;
  void plan_permutations();
  [[nodiscard]] Array mean_of_runs(const Array& values) const;
  void note_ceiling(std::size_t first, const Array& targets);
  void note_flags(std::size_t first, const Array& targets);
  void permute(std::size_t first, const Array& predicted, const Array& targets);

  const RidgeJobOptions& options_;
  RidgeJobResult& result_;
  StageTimer& timer_;
  std::function<void(const std::string&)> warn_;
  std::vector<std::size_t> lengths_;  // of the rows that are scored
  std::size_t repeats_ = 1;
  std::variant<std::monostate, encoding::ShiftPlan, encoding::BlockPlan> plan_;
  std::vector<double> maxima_;    // [permutations]: the largest r over all targets
  std::vector<double> observed_;  // [targets]: r, as the maxima are taken
  std::size_t permutations_ = 0;
};

}  // namespace vid2vox::runtime
