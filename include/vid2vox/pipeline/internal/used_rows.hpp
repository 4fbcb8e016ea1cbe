#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/pipeline/encoding_data.hpp"
#include "vid2vox/pipeline/internal/messages.hpp"

// Which rows of the data train and test.

namespace VID2VOX::pipeline::internal {

/// Throws Error where parts of the data do not have the sizes that the features give.
inline void check_sizes(const EncodingData& data) {
  const std::size_t n = data.features.shape(0);
  std::size_t rows = 0;
  for (const std::size_t length : data.run_lengths) rows += length;
  if (rows != n || n == 0) {
    throw Error(text(rows, " rows in all runs, features have ", n), "run_lengths",
                "give the rows of each run, one or more");
  }
  std::size_t columns = data.targets.shape(1);
  if (data.stored.empty()) {
    if (data.targets.shape(0) != n) {
      throw Error(text(data.targets.shape(0), " rows, features have ", n), "targets",
                  "give a row of targets for each row of features");
    }
  } else {
    columns = data.stored.front().columns;
    bool same = data.stored.size() == data.run_lengths.size();
    for (std::size_t i = 0; same && i < data.stored.size(); ++i) {
      same = data.stored[i].rows == data.run_lengths[i] && data.stored[i].columns == columns;
    }
    if (!same) {
      throw Error("they do not have the rows of the runs, or not the same columns",
                  "targets that are read in parts", "give those of each run, in order");
    }
  }
  if (!data.target_names.empty() && data.target_names.size() != columns) {
    throw Error(text(data.target_names.size(), " names for ", columns, " targets"), "target_names",
                "give a name for each target, or none");
  }
  std::size_t spaces = 0;
  for (const FeatureSpace& space : data.bands) spaces += space.columns;
  if (data.bands.size() > 1 && spaces != data.features.shape(1)) {
    throw Error(
        text(spaces, " columns in all feature spaces, features have ", data.features.shape(1)),
        "bands", "give the columns of each space");
  }
}

/// Throws Error for segments that are empty, overlap or reach from one run into the next.
inline void check_segments(const EncodingData& data) {
  const std::size_t n = data.features.shape(0);
  std::vector<char> taken(n, 0);
  for (const EncodingSegment& segment : data.segments) {
    const std::string where = text("rows ", segment.begin, ":", segment.end);
    if (segment.begin >= segment.end || segment.end > n) {
      throw Error(text("no such rows among ", n), where,
                  "give begin:end with 0 <= begin < end <= number of rows");
    }
    std::size_t run_end = 0;
    for (const std::size_t length : data.run_lengths) {
      run_end += length;
      if (segment.begin < run_end) break;
    }
    if (segment.end > run_end) {
      throw Error("the range reaches from one run into the next", where,
                  "give each run its own range");
    }
    for (std::size_t row = segment.begin; row < segment.end; ++row) {
      if (taken[row]++ != 0) {
        throw Error(text("row ", row, " is in two ranges"), where,
                    "choose training and test ranges that do not overlap");
      }
    }
  }
}

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
inline UsedRows used_rows(const EncodingData& data, bool test, const std::vector<char>& complete,
                          const std::vector<char>& measured) {
  UsedRows used;
  for (const EncodingSegment& segment : data.segments) {
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
    throw Error(text(used.rows.size(), " usable rows (", used.incomplete_features,
                     " without features, ", used.missing_targets, " without targets)"),
                test ? "test rows" : "training rows", "give longer runs or other ranges");
  }
  return used;
}

}  // namespace VID2VOX::pipeline::internal
