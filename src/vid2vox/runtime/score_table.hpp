#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/table.hpp"
#include "vid2vox/io/text.hpp"

namespace vid2vox::runtime {

/// One column of a table of scores as fit_ridge writes it (target,r,r2,alpha,p,q,flag).
struct ScoreTable {
  std::vector<std::string> targets;
  std::vector<float> scores;  // NaN where the table has none, or a flag other than "ok"
  std::vector<float> q;       // NaN where the table has none
  std::size_t flagged = 0;    // targets with a flag other than "ok"
};

/// Reads `column` ("r", "r2" or any other column of numbers). Throws Error naming file and row.
inline ScoreTable load_scores(const std::filesystem::path& path, const std::string& column) {
  io::TextTable text(path);
  const auto place = [&](const std::string& name) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < text.names().size(); ++i) {
      if (io::lower_case(text.names()[i]) == io::lower_case(name)) return i;
    }
    return std::nullopt;
  };
  const auto score = place(column);
  const auto target = place("target");
  const auto q = place("q");
  const auto flag = place("flag");
  if (!score) {
    std::string names;
    for (const std::string& name : text.names()) names += (names.empty() ? "" : ", ") + name;
    throw Error("has no column '" + column + "'", path.string(), "choose one of: " + names);
  }
  ScoreTable table;
  std::vector<std::string> fields;
  const auto number = [&](std::size_t at) {
    const auto value = io::parse_number(fields[at]);
    if (!value) throw Error("'" + fields[at] + "' is no number", text.place(), "correct the row");
    return static_cast<float>(*value);
  };
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  while (text.next_row(fields)) {
    const bool flagged = flag && fields[*flag] != "ok" && !fields[*flag].empty();
    if (flagged) ++table.flagged;
    table.targets.push_back(target ? fields[*target] : std::to_string(table.targets.size()));
    table.scores.push_back(flagged ? kNone : number(*score));
    table.q.push_back(q && !flagged ? number(*q) : kNone);
  }
  if (table.targets.empty()) throw Error("has no rows", path.string(), "give a table of scores");
  return table;
}

}  // namespace vid2vox::runtime
