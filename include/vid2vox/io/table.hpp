#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/text.hpp"

namespace VID2VOX::io {

namespace internal {

/// Lines of a text file, gzip-compressed or not.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path) : name_(path.string()) {
    const RandomAccessFile present(path);  // says what is wrong with the path
    file_.reset(gzopen(name_.c_str(), "rb"));
    if (!file_) throw Error("cannot open", name_, "check the path and its permissions");
  }

  /// The next line without its end (LF or CRLF); false at the end of the file.
  bool next(std::string& line) {
    line.clear();
    for (;;) {
      if (position_ == filled_ && !fill()) {
        if (line.empty()) return false;
        break;
      }
      const char* const begin = buffer_.data() + position_;
      const char* const end = buffer_.data() + filled_;
      const char* const stop = std::find(begin, end, '\n');
      line.append(begin, stop);
      position_ += static_cast<std::size_t>(stop - begin);
      if (stop != end) {
        ++position_;
        break;
      }
    }
    if (line.ends_with('\r')) line.pop_back();
    ++number_;
    return true;
  }

  /// Number of the line that next() gave, from 1.
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string place() const { return name_ + ", row " + std::to_string(number_); }

 private:
  static constexpr std::size_t kBuffer = 65536;

  /// Unpacks more text; false at the end of the file.
  bool fill() {
    const int got = gzread(file_.get(), buffer_.data(), static_cast<unsigned int>(buffer_.size()));
    int code = Z_OK;
    const char* message = gzerror(file_.get(), &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw Error(std::string("cannot unpack: ") + message, name_,
                  "the file is damaged or cut short; copy it again");
    }
    position_ = 0;
    filled_ = static_cast<std::size_t>(got);
    return got > 0;
  }

  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  std::string name_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
  std::size_t position_ = 0;
  std::size_t filled_ = 0;
  std::size_t number_ = 0;
};

/// The fields of a line. With commas, a field may stand in double quotes, in which "" means ".
inline std::vector<std::string> split_fields(const std::string& line, char separator,
                                             const std::string& where) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && separator == ',') {
      const bool doubled = quoted && i + 1 < line.size() && line[i + 1] == '"';
      if (doubled) {
        fields.back() += line[++i];
      } else {
        quoted = !quoted;
      }
    } else if (c == separator && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) throw Error("a quoted field does not end", where, "close the quotes in one line");
  return fields;
}

}  // namespace internal

/// Rows of text under a header row, from .tsv or .csv, with or without .gz. Tabs separate fields,
/// or commas if the name says csv. Empty lines at the end do not count.
class TextTable {
 public:
  /// Throws Error naming the file if it cannot be read, has another extension, or has no header.
  explicit TextTable(const std::filesystem::path& path) : lines_(path) {
    std::string stem = lower_case(lines_.name());
    if (stem.ends_with(".gz")) stem.resize(stem.size() - std::string_view(".gz").size());
    if (!stem.ends_with(".tsv") && !stem.ends_with(".csv")) {
      throw Error("not named .tsv, .csv, .tsv.gz or .csv.gz", lines_.name(), "rename the table");
    }
    separator_ = stem.ends_with(".csv") ? ',' : '\t';
    std::string line;
    if (!lines_.next(line)) {
      throw Error("the table is empty", lines_.name(), "give a table with a header row");
    }
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    for (const std::string& field : internal::split_fields(line, separator_, place())) {
      names_.emplace_back(trimmed(field));
    }
    has_pending_ = lines_.next(pending_);
  }

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const std::string& name() const { return lines_.name(); }
  /// File and number of the row that next_row() gave; the header is row 1.
  [[nodiscard]] std::string place() const {
    return lines_.name() + ", row " + std::to_string(std::max<std::size_t>(row_, 1));
  }
  [[nodiscard]] std::size_t row() const { return row_; }

  /// The next row's fields; false at the end. Throws Error naming file and row if their number is
  /// not the header's.
  bool next_row(std::vector<std::string>& fields) {
    if (!has_pending_) return false;
    row_ = lines_.number();
    const std::string line = std::move(pending_);
    has_pending_ = lines_.next(pending_);
    if (line.empty()) {
      // Empty lines are padding if nothing but empty lines follows.
      while (has_pending_ && pending_.empty()) has_pending_ = lines_.next(pending_);
      if (!has_pending_) return false;
      throw Error("an empty line among the rows", place(), "remove it");
    }
    fields = internal::split_fields(line, separator_, place());
    if (fields.size() != names_.size()) {
      throw Error(std::to_string(fields.size()) + " fields under a header of " +
                      std::to_string(names_.size()),
                  place(), "correct the row");
    }
    return true;
  }

 private:
  internal::LineReader lines_;
  char separator_ = '\t';
  std::vector<std::string> names_;
  std::string pending_;
  bool has_pending_ = false;
  std::size_t row_ = 0;
};

/// A table of numbers.
struct Table {
  std::vector<std::string> names;  // one a column
  xt::xtensor<double, 2> values;   // [rows, columns]; NaN where missing
};

/// Loads a table of numbers with a header row (see TextTable). Missing values are NaN: "n/a", "NA",
/// "nan" or empty. Throws Error naming file and row for a row that is ragged or holds other text,
/// and for a first row that looks like data (a name that is a number with a fraction).
inline Table load_table(const std::filesystem::path& path) {
  TextTable text(path);
  for (const std::string& name : text.names()) {
    if (name.find('.') != std::string::npos && parse_number(name)) {
      throw Error("the first row holds the number " + name + ", so it is no header", text.place(),
                  "put the columns' names into the first row");
    }
  }
  std::vector<double> values;
  std::vector<std::string> fields;
  std::size_t rows = 0;
  while (text.next_row(fields)) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::optional<double> value = parse_number(fields[i]);
      if (!value) {
        throw Error("'" + fields[i] + "' in column '" + text.names()[i] + "' is no number",
                    text.place(), "give a number, or n/a where there is none");
      }
      values.push_back(*value);
    }
    ++rows;
  }
  Table table{text.names(), xt::xtensor<double, 2>::from_shape({rows, text.names().size()})};
  std::copy(values.begin(), values.end(), table.values.begin());
  return table;
}

}  // namespace VID2VOX::io
