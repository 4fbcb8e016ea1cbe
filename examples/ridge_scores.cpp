// Features and BOLD in memory -> ridge, alpha chosen over runs -> r, p and q of each voxel.

#include <algorithm>
#include <cstdio>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"
#include "vid2vox/encoding/statistics/fdr.hpp"
#include "vid2vox/encoding/statistics/scores.hpp"
#include "vid2vox/encoding/statistics/significance.hpp"

using namespace vid2vox;
using namespace vid2vox::encoding;
using Matrix = xt::xtensor<float, 2>;

constexpr std::size_t kTrs = 150, kRuns = 3, kFeatures = 8, kVoxels = 20;
Matrix noise(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  auto values = Matrix::from_shape({rows, columns});
  for (std::size_t i = 0; i < values.size(); ++i)
    values.data()[i] = static_cast<float>(RandomKey{seed, 0, 0}.normal(i));
  return values;
}

int main() {
  // Three runs. Voxels 0 to 11 follow a feature, 3 TR late, with noise of twice its variance.
  const Matrix features = noise(kRuns * kTrs, kFeatures, 1);
  Matrix bold = noise(kRuns * kTrs, kVoxels, 2) * 1.4F;
  for (std::size_t i = 0; i < kRuns * kTrs; ++i) {
    if (i % kTrs < 3) continue;
    for (std::size_t v = 0; v < 12; ++v) bold(i, v) += features(i - 3, v % kFeatures);
  }
  // Delays of 2 to 5 TR, none across the start of a run; the last run is held out.
  const std::vector<std::size_t> lengths(kRuns, kTrs), test_lengths{kTrs};
  const Matrix delayed = delay_features(features, lengths, parse_delays("2:5"));
  constexpr std::size_t kTrain = (kRuns - 1) * kTrs;
  std::vector<std::size_t> run_of_row(kTrain);
  for (std::size_t i = 0; i < kTrain; ++i) run_of_row[i] = i / kTrs;

  using Map = Eigen::Map<const RowMatrix<float>>;
  constexpr Eigen::Index kColumns = 4 * kFeatures;
  const Map x(delayed.data(), kTrain, kColumns), y(bold.data(), kTrain, kVoxels);
  const Map x_test(delayed.data() + kTrain * kColumns, kTrs, kColumns);
  RidgeOptions options;
  options.alphas = parse_alphas("1e0:1e4:9");
  const RidgeModel<float> model = fit_ridge<float>(x, y, run_of_row, options);

  RowMatrix<float> predicted(kTrs, kVoxels);
  model.predict(x_test, predicted);
  const Map measured(bold.data() + kTrain * kVoxels, kTrs, kVoxels);
  const std::vector<double> r = score<float>(predicted, measured).r;
  const ShiftPlan shifts = plan_shifts(test_lengths, {});
  const auto p = permutation_p_values<float>(predicted, measured, test_lengths, shifts);
  const std::vector<double> q = benjamini_hochberg(p).q;
  std::printf("voxel 0: r %.2f, p %.3f, q %.3f\n", r[0], p[0], q[0]);
  const auto significant = std::ranges::count_if(q, [](double value) { return value < 0.05; });
  std::printf("%td of %zu voxels significant at q < 0.05\n", significant, kVoxels);
}
