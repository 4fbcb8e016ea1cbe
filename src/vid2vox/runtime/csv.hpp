#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"

namespace vid2vox::runtime {

/// A log with one row per event and the training step in its first column (`loss.csv`). Every row
/// is on disk when `row` returns. A resumed run drops the rows after the step that it resumes
/// from, so its file equals that of a run that was never stopped.
class CsvLog {
 public:
  /// columns: names after "step". resumed_step: the step of the loaded checkpoint; without it an
  /// existing file is replaced. Throws Error if the file cannot be written, or if the file to go
  /// on with has other columns.
  CsvLog(std::filesystem::path path, const std::vector<std::string>& columns,
         std::optional<std::uint64_t> resumed_step = std::nullopt)
      : path_(std::move(path)), header_("step"), columns_(columns.size() + 1) {
    for (const std::string& column : columns) header_ += "," + escape(column);
    std::vector<std::string> kept;
    if (resumed_step && std::filesystem::exists(path_)) kept = rows_up_to(*resumed_step);
    rewrite(kept);
    file_.open(path_, std::ios::app | std::ios::binary);
    check(file_.is_open(), "cannot be opened");
    if (!kept.empty()) last_row_ = kept.back();
  }

  /// Appends a row; floating-point cells are written with as many digits as restore the value.
  template <class... Cells>
  void row(std::uint64_t step, const Cells&... cells) {
    if (sizeof...(cells) + 1 != columns_) {
      throw Error(fmt::format("a row of {} cells for {} columns", sizeof...(cells) + 1, columns_),
                  path_.string(), "write one cell a column");
    }
    std::string line = std::to_string(step);
    ((line += "," + escape(fmt::format("{}", cells))), ...);
    file_ << line << '\n' << std::flush;
    check(file_.good(), "cannot be written");
    last_row_ = line;
  }

  /// The newest row as text (empty if there is none): a resumed run reads its elapsed seconds here.
  [[nodiscard]] const std::string& last_row() const { return last_row_; }

  /// The newest row's last cell as a number, 0 if there is none.
  [[nodiscard]] double last_cell() const {
    const std::size_t comma = last_row_.rfind(',');
    double value = 0;
    if (comma != std::string::npos) {
      std::from_chars(last_row_.data() + comma + 1, last_row_.data() + last_row_.size(), value);
    }
    return value;
  }

 private:
  void check(bool good, const std::string& problem) const {
    if (!good) throw Error(problem, path_.string(), "check the folder and the free space");
  }

  /// RFC 4180: a cell with a comma, quote or line break stands in quotes.
  static std::string escape(std::string_view cell) {
    if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
    std::string quoted = "\"";
    for (const char character : cell) {
      if (character == '"') quoted += '"';
      quoted += character;
    }
    return quoted + "\"";
  }

  [[nodiscard]] std::vector<std::string> rows_up_to(std::uint64_t step) const {
    std::ifstream file(path_, std::ios::binary);
    std::string line;
    std::getline(file, line);
    if (line != header_) {
      throw Error("its columns are '" + line + "', not '" + header_ + "'", path_.string(),
                  "resume with the program that wrote it, or use another output folder");
    }
    std::vector<std::string> rows;
    while (std::getline(file, line)) {
      if (file.eof()) break;  // no line end: the row of a run that was killed while it wrote
      std::uint64_t row_step = 0;
      const auto [end, failure] = std::from_chars(line.data(), line.data() + line.size(), row_step);
      if (failure != std::errc{} || end == line.data() + line.size() || *end != ',') {
        throw Error("row " + std::to_string(rows.size() + 1) + " has no step", path_.string(),
                    "restore or delete the file");
      }
      if (row_step <= step) rows.push_back(line);
    }
    return rows;
  }

  void rewrite(const std::vector<std::string>& rows) const {
    io::AtomicFile file(path_);
    file.write(header_ + "\n");
    for (const std::string& row : rows) file.write(row + "\n");
    file.commit();
  }

  std::filesystem::path path_;
  std::string header_;
  std::size_t columns_;
  std::ofstream file_;
  std::string last_row_;
};

}  // namespace vid2vox::runtime
