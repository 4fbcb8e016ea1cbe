#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <xtensor/xview.hpp>

#include "vid2vox/encoding/high_pass.hpp"
#include "vid2vox/encoding/pca.hpp"
#include "vid2vox/runtime/ridge_parts.hpp"

namespace vid2vox::runtime {

namespace {

using Array = xt::xtensor<float, 2>;

std::vector<std::size_t> training_rows(const RidgeData& data) {
  std::vector<std::size_t> rows;
  for (const RidgeSegment& segment : data.segments) {
    for (std::size_t row = segment.begin; row < segment.end && !segment.test; ++row) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Principal components of the values, learned from those training rows that are complete.
Array reduce(Array& values, const std::vector<std::size_t>& train, const RidgeJobOptions& options,
             nlohmann::ordered_json& note) {
  const std::vector<char> complete = encoding::complete_rows(values);
  std::vector<std::size_t> rows;
  for (const std::size_t row : train) {
    if (complete[row] != 0) rows.push_back(row);
  }
  const auto pca = encoding::fit_pca<float>(as_matrix(values), rows,
                                            {.components = options.pca, .seed = options.seed});
  double share = 0;
  for (const double ratio : pca.explained_variance_ratio) share += ratio;
  note = {{"components", options.pca},
          {"explained_variance", share},
          {"explained_variance_ratio", pca.explained_variance_ratio}};
  Array reduced = Array::from_shape({values.shape(0), options.pca});
  as_matrix(reduced) = pca.transform(as_matrix(values));
  return reduced;
}

}  // namespace

void check_segments(const RidgeData& data) {
  const std::size_t n = data.features.shape(0);
  std::vector<char> taken(n, 0);
  for (const RidgeSegment& segment : data.segments) {
    const std::string where = fmt::format("rows {}:{}", segment.begin, segment.end);
    if (segment.begin >= segment.end || segment.end > n) {
      throw Error(fmt::format("no such rows among {}", n), where,
                  "give begin:end with 0 <= begin < end <= number of rows");
    }
    std::size_t run_end = 0;
    for (const std::size_t length : data.run_lengths) {
      run_end += length;
      if (segment.begin < run_end) break;
    }
    if (segment.end > run_end) {
      throw Error("they reach from one run into the next", where, "give each run its own range");
    }
    for (std::size_t row = segment.begin; row < segment.end; ++row) {
      if (taken[row]++ != 0) {
        throw Error(fmt::format("row {} is in two ranges", row), where,
                    "let training and test ranges not overlap");
      }
    }
  }
}

UsedRows used_rows(const RidgeData& data, bool test, const std::vector<char>& complete,
                   const std::vector<char>& measured) {
  UsedRows used;
  for (const RidgeSegment& segment : data.segments) {
    if (segment.test != test) continue;
    std::size_t length = 0;
    for (std::size_t row = segment.begin; row < segment.end; ++row) {
      if (complete[row] == 0) {
        ++used.incomplete_features;
      } else if (measured[row] == 0) {
        ++used.missing_targets;
      } else {
        used.rows.push_back(row);
        used.within.push_back(row - segment.begin);
        used.segment.push_back(used.lengths.size());
        ++length;
      }
    }
    used.lengths.push_back(length);
  }
  std::erase(used.lengths, std::size_t{0});
  constexpr std::size_t kFewest = 2;  // below, neither a fit nor a correlation is defined
  if (used.rows.size() < kFewest) {
    throw Error(fmt::format("{} usable rows ({} without features, {} without targets)",
                            used.rows.size(), used.incomplete_features, used.missing_targets),
                test ? "test rows" : "training rows", "give longer runs or other ranges");
  }
  return used;
}

RidgeDesign make_design(RidgeData& data, const RidgeJobOptions& options) {
  Array features = std::move(data.features);
  data.features = Array::from_shape({0, 0});
  const std::vector<std::size_t> train = training_rows(data);
  if (options.high_pass_s > 0) {
    encoding::high_pass_runs(features, data.run_lengths, options.tr_s, options.high_pass_s);
  }
  if (options.features != encoding::Standardization::kNone) {
    encoding::apply_standardizer(encoding::learn_standardizer(features, train, options.features),
                                 features);
  }
  const bool several = data.bands.size() > 1;
  const std::vector<FeatureBand> bands =
      several ? data.bands : std::vector<FeatureBand>{{"", features.shape(1)}};
  RidgeDesign design;
  std::vector<Array> parts;
  std::size_t first = 0;
  for (const FeatureBand& band : bands) {
    Array own;
    if (several) {
      own = xt::view(features, xt::all(), xt::range(first, first + band.columns));
    } else {
      own = std::move(features);
    }
    first += band.columns;
    // Of several spaces, some may be narrower than what the wide ones are reduced to.
    if (options.pca > 0 && (!several || band.columns > options.pca)) {
      own = reduce(own, train, options, several ? design.pca[band.name] : design.pca);
    }
    if (options.hrf) {
      own = encoding::convolve_hrf(own, data.run_lengths, options.tr_s, *options.hrf);
    }
    parts.push_back(encoding::delay_features(own, data.run_lengths, options.delays, options.fill));
    design.sizes.push_back(static_cast<Eigen::Index>(parts.back().shape(1)));
  }
  if (!several) {
    design.x = std::move(parts[0]);
    return design;
  }
  std::size_t columns = 0;
  for (const Array& part : parts) columns += part.shape(1);
  design.x = Array::from_shape({parts[0].shape(0), columns});
  Eigen::Index column = 0;
  for (Array& part : parts) {
    const auto own = as_matrix(part);
    as_matrix(design.x).middleCols(column, own.cols()) = own;
    column += own.cols();
  }
  return design;
}

}  // namespace vid2vox::runtime
