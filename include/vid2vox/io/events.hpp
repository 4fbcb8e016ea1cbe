#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/table.hpp"

namespace VID2VOX::io {

/// One video shown in a run.
struct Event {
  double onset_s = 0;     // from the start of the scan
  double duration_s = 0;  // NaN if not given
  std::string stim_file;
  std::size_t row = 0;  // in the file; the header is row 1
};

/// A row without a video, and why it was skipped.
struct SkippedEvent {
  std::size_t row = 0;
  std::string reason;
};

struct Events {
  std::vector<Event> events;
  std::vector<SkippedEvent> skipped;
};

/// Reads a BIDS events.tsv (columns onset, duration, stim_file; others are ignored). Rows whose
/// stim_file is blank, "n/a" or "Missing file" are skipped and listed. Throws Error naming the file
/// if a column is missing, and the row if its onset or duration is no number or negative duration.
inline Events load_events(const std::filesystem::path& path) {
  TextTable table(path);
  const auto column = [&](const std::string& name) {
    const auto found = std::find(table.names().begin(), table.names().end(), name);
    if (found == table.names().end()) {
      throw Error("no column '" + name + "'", table.name(),
                  "give a BIDS events file with onset, duration and stim_file");
    }
    return static_cast<std::size_t>(found - table.names().begin());
  };
  const std::size_t onset = column("onset");
  const std::size_t duration = column("duration");
  const std::size_t stim_file = column("stim_file");
  Events result;
  std::vector<std::string> fields;
  while (table.next_row(fields)) {
    const std::string file(trimmed(fields[stim_file]));
    const std::string lower = lower_case(file);
    if (lower.empty() || lower == "n/a" || lower == "missing file") {
      result.skipped.push_back(
          {table.row(), file.empty() ? "stim_file is blank" : "stim_file is '" + file + "'"});
      continue;
    }
    const std::optional<double> start = parse_number(fields[onset]);
    const std::optional<double> length = parse_number(fields[duration]);
    if (!start || !std::isfinite(*start)) {
      throw Error("onset '" + fields[onset] + "' is no number", table.place(), "correct the row");
    }
    if (!length || *length < 0) {
      throw Error("duration '" + fields[duration] + "' is no number from 0 up", table.place(),
                  "correct the row");
    }
    result.events.push_back({*start, *length, file, table.row()});
  }
  return result;
}

}  // namespace VID2VOX::io
