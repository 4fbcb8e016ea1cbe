#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <xtensor/xarray.hpp>
#include <xtensor/xstrides.hpp>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/hdf5_file.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/io/npz.hpp"
#include "vid2vox/io/table.hpp"

// Needs the components vid2vox::arrays and vid2vox::hdf5.

namespace VID2VOX::io {

/// Features or targets over time.
struct TimeSeries {
  xt::xtensor<float, 2> values;    // [time, columns]
  std::vector<std::string> names;  // one a column
};

namespace internal {

/// Whether a table's column says when a row was measured: one called "time" (in any case), or a
/// first column without a name (pandas writes its index so, and reads it back as "Unnamed: 0").
inline bool is_time_column(const std::string& name, std::size_t column) {
  const std::string lower = lower_case(name);
  return lower == "time" || (column == 0 && (lower.empty() || lower == "unnamed: 0"));
}

inline TimeSeries series_of_table(const std::filesystem::path& path) {
  const Table table = load_table(path);
  std::vector<std::size_t> columns;
  TimeSeries series;
  for (std::size_t i = 0; i < table.names.size(); ++i) {
    if (is_time_column(table.names[i], i)) continue;
    columns.push_back(i);
    series.names.push_back(table.names[i]);
  }
  const std::size_t rows = table.values.shape(0);
  series.values = xt::xtensor<float, 2>::from_shape({rows, columns.size()});
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      series.values(row, i) = static_cast<float>(table.values(row, columns[i]));
    }
  }
  return series;
}

/// First axis time, the others flattened; columns are named by their number.
inline TimeSeries series_of_array(xt::xarray<float> array, const std::string& where) {
  if (array.dimension() == 0) {
    throw Error("a single number is no time series", where,
                "give an array whose first axis is time");
  }
  const std::size_t rows = array.shape(0);
  std::size_t columns = 1;
  for (std::size_t axis = 1; axis < array.dimension(); ++axis) columns *= array.shape(axis);
  TimeSeries series;
  // Takes over the memory: whole-brain series are too large to hold twice.
  const std::array<std::size_t, 2> shape{rows, columns};
  std::array<std::ptrdiff_t, 2> strides{};
  xt::compute_strides(shape, xt::layout_type::row_major, strides);
  series.values =
      xt::xtensor<float, 2>(std::move(array.storage()), std::array<std::size_t, 2>(shape),
                            std::array<std::ptrdiff_t, 2>(strides));
  for (std::size_t i = 0; i < columns; ++i) series.names.push_back(std::to_string(i));
  return series;
}

}  // namespace internal

/// The name of the only dataset of an HDF5 file. Throws Error unless there is exactly one.
inline std::string only_dataset(const std::filesystem::path& path) {
  const std::vector<std::string> names = Hdf5File(path).datasets();
  if (names.size() == 1) return names[0];
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  throw Error(std::to_string(names.size()) + " datasets and no name given", path.string(),
              "write " + path.string() + ":DATASET with one of: " + list);
}

/// Splits "file.h5:dataset" after an extension of a container; other paths stay whole.
inline std::pair<std::string, std::string> split_member(const std::string& path) {
  const std::string lower = lower_case(path);
  for (const std::string_view extension : {".h5:", ".hdf5:", ".npz:"}) {
    const std::size_t at = lower.find(extension);
    if (at == std::string::npos) continue;
    const std::size_t colon = at + extension.size() - 1;
    return {path.substr(0, colon), path.substr(colon + 1)};
  }
  return {path, ""};
}

/// Loads a time series by the file's extension: .npy, .npz, .tsv, .csv, .tsv.gz, .csv.gz, .h5 or
/// .hdf5. `member` names the array of an npz or HDF5 file that holds several; "file.npz:array" and
/// "file.h5:group/dataset" say the same in one word. Of arrays, the first axis is time and the
/// others are flattened. Of tables, a column called "time", or a first column without a name, is no
/// series and is left out. Throws Error naming the file, and if there is no row or no column.
inline TimeSeries load_time_series(const std::string& path, std::string member = "") {
  const auto [file, named] = split_member(path);
  if (member.empty()) member = named;
  const std::string lower = lower_case(file);
  TimeSeries series;
  if (lower.ends_with(".npy")) {
    series = internal::series_of_array(load_npy<float>(file), file);
  } else if (lower.ends_with(".npz")) {
    series = internal::series_of_array(load_npz<float>(file, member), path);
  } else if (lower.ends_with(".h5") || lower.ends_with(".hdf5")) {
    if (member.empty()) member = only_dataset(file);
    series = internal::series_of_array(load_hdf5_array(file, member), file + ":" + member);
  } else if (lower.ends_with(".tsv") || lower.ends_with(".csv") || lower.ends_with(".tsv.gz") ||
             lower.ends_with(".csv.gz")) {
    series = internal::series_of_table(file);
  } else {
    throw Error("unknown kind of file", path,
                "give .npy, .npz, .tsv, .csv, .tsv.gz, .csv.gz, .h5 or .hdf5");
  }
  if (series.values.size() == 0) {
    throw Error("the time series has no rows or no columns", path, "give a file with values");
  }
  return series;
}

}  // namespace VID2VOX::io
