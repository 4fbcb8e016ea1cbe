#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/high_pass.hpp"
#include "vid2vox/encoding/hrf.hpp"
#include "vid2vox/encoding/pca.hpp"
#include "vid2vox/encoding/standardize.hpp"
#include "vid2vox/encoding/xtensor.hpp"
#include "vid2vox/pipeline/encoding_data.hpp"
#include "vid2vox/pipeline/encoding_options.hpp"
#include "vid2vox/pipeline/encoding_result.hpp"

namespace VID2VOX::pipeline::internal {

/// What the ridge multiplies: band by band, each delay by delay.
struct Design {
  xt::xtensor<float, 2> x;          // [n, sum of sizes]; rows with NaN are not complete
  std::vector<Eigen::Index> sizes;  // columns of each band
  std::vector<PcaSummary> pca;
};

inline std::vector<std::size_t> training_rows(const EncodingData& data) {
  std::vector<std::size_t> rows;
  for (const EncodingSegment& segment : data.segments) {
    for (std::size_t row = segment.begin; row < segment.end && !segment.test; ++row) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Principal components of the values, learned from those training rows that are complete.
inline xt::xtensor<float, 2> reduce(const xt::xtensor<float, 2>& values, const std::string& band,
                                    const std::vector<std::size_t>& train,
                                    const EncodingOptions& options, std::vector<PcaSummary>& note) {
  const std::vector<char> complete = encoding::complete_rows<float>(encoding::as_matrix(values));
  std::vector<std::size_t> rows;
  for (const std::size_t row : train) {
    if (complete[row] != 0) rows.push_back(row);
  }
  const auto pca = encoding::fit_pca<float>(encoding::as_matrix(values), rows,
                                            {.components = options.pca, .seed = options.seed});
  double share = 0;
  for (const double ratio : pca.explained_variance_ratio) share += ratio;
  note.push_back({band, options.pca, share, pca.explained_variance_ratio});
  auto reduced = xt::xtensor<float, 2>::from_shape({values.shape(0), options.pca});
  encoding::as_matrix(reduced) = pca.transform(encoding::as_matrix(values));
  return reduced;
}

/// The parts side by side.
inline xt::xtensor<float, 2> join_columns(std::vector<xt::xtensor<float, 2>> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  std::size_t columns = 0;
  for (const auto& part : parts) columns += part.shape(1);
  auto joined = xt::xtensor<float, 2>::from_shape({parts[0].shape(0), columns});
  Eigen::Index column = 0;
  for (const auto& part : parts) {
    const auto own = encoding::as_matrix(part);
    encoding::as_matrix(joined).middleCols(column, own.cols()) = own;
    column += own.cols();
  }
  return joined;
}

/// Standardizes, reduces, convolves and delays the features of all rows; what is learned comes from
/// the training segments only. Takes the features out of `data`.
inline Design make_design(EncodingData& data, const EncodingOptions& options) {
  using Array = xt::xtensor<float, 2>;
  Array features = std::move(data.features);
  data.features = Array::from_shape({0, 0});
  const std::vector<std::size_t> train = training_rows(data);
  if (options.high_pass_s > 0) {
    encoding::high_pass_runs<float>(encoding::as_matrix(features), data.run_lengths, options.tr_s,
                                    options.high_pass_s);
  }
  if (options.features != encoding::Standardization::kNone) {
    const auto learned =
        encoding::learn_standardizer<float>(encoding::as_matrix(features), train, options.features);
    encoding::apply_standardizer<float>(learned, encoding::as_matrix(features));
  }
  const bool several = data.bands.size() > 1;
  const std::vector<FeatureSpace> bands =
      several ? data.bands : std::vector<FeatureSpace>{{"", features.shape(1)}};
  Design design;
  std::vector<Array> parts;
  std::size_t first = 0;
  for (const FeatureSpace& band : bands) {
    Array own = several
                    ? Array(xt::view(features, xt::all(), xt::range(first, first + band.columns)))
                    : std::exchange(features, Array());
    first += band.columns;
    // Of several spaces, some may be narrower than what the wide ones are reduced to.
    if (options.pca > 0 && (!several || band.columns > options.pca)) {
      own = reduce(own, band.name, train, options, design.pca);
    }
    if (options.hrf) {
      own = encoding::convolve_hrf(own, data.run_lengths, options.tr_s, *options.hrf);
    }
    parts.push_back(encoding::delay_features(own, data.run_lengths, options.delays, options.fill));
    design.sizes.push_back(linalg::index_of(parts.back().shape(1)));
  }
  design.x = join_columns(std::move(parts));
  return design;
}

}  // namespace VID2VOX::pipeline::internal
