#pragma once

#include "cpu_report.hpp"

// The report of `./run bench` as tables in Markdown.

namespace vid2vox::bench {

/// What compiling one file that trains preset `study` may take.
inline constexpr double kCompileSeconds = 60;
inline constexpr double kCompileBytes = 2e9;

namespace internal {

/// A number with three significant digits and a unit.
inline std::string number_text(double value, const std::string& unit = "") {
  char text[32];
  const int digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text + (unit.empty() ? "" : " " + unit);
}
inline std::string time_text(double microseconds) {
  constexpr double kThousand = 1e3;
  if (microseconds >= kThousand * kThousand) {
    return number_text(microseconds / (kThousand * kThousand), "s");
  }
  if (microseconds >= kThousand) return number_text(microseconds / kThousand, "ms");
  return number_text(microseconds, "us");
}
inline std::string percent_text(double share) {
  constexpr double kPercent = 100;
  return std::to_string(std::lround(share * kPercent)) + "%";
}
/// What went wrong, short enough for a cell.
inline std::string error_text(const std::string& error) {
  constexpr std::size_t kLongest = 60;
  std::string line = error.substr(0, std::min(error.find('\n'), kLongest));
  std::replace(line.begin(), line.end(), '|', '/');
  return line.find("not here") != std::string::npos ? "not here" : line;
}

inline std::string time_cell(const Json& entry) {
  if (entry.contains("error")) return error_text(entry["error"]);
  return entry.contains("microseconds") ? time_text(entry["microseconds"]) : "-";
}
inline std::string share_cell(const Json& ours) {
  return ours.contains("share_of_floor") ? percent_text(ours["share_of_floor"]) : "-";
}

inline std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

inline std::vector<std::string> engines_of(const Json& report) {
  std::set<std::string> engines;
  for (const Json& entry : report["benchmarks"]) {
    for (const auto& [engine, ours] : entry["ours"].items()) engines.insert(engine);
  }
  return {engines.begin(), engines.end()};
}

inline std::string benchmark_table(const Json& report) {
  const auto engines = engines_of(report);
  std::vector<std::string> head{"workload", "precision"};
  for (const std::string& engine : engines) {
    head.push_back("ours, " + engine);
    head.emplace_back("of ceiling");
  }
  head.insert(head.end(), {"rival", "its time"});
  for (const std::string& engine : engines) head.push_back("ratio, " + engine);
  head.emplace_back("at the ceiling");
  std::string text = row(head) + row(std::vector<std::string>(head.size(), "---"));
  for (const Json& entry : report["benchmarks"]) {
    const auto parts = parts_of(entry["name"]);
    std::vector<std::string> start{parts[0] + " " + parts[2], parts[1]};
    for (const std::string& engine : engines) {
      const Json ours = entry["ours"].value(engine, Json::object());
      start.push_back(time_cell(ours));
      start.push_back(share_cell(ours));
    }
    Json rivals = entry["rivals"];
    if (rivals.empty()) rivals.push_back(Json::object());
    for (const Json& rival : rivals) {
      std::vector<std::string> cells = start;
      const bool named = rival.contains("who");
      cells.push_back(named ? rival["who"].get<std::string>() + " " +
                                  rival["precision"].get<std::string>()
                            : "-");
      cells.push_back(time_cell(rival));
      for (const std::string& engine : engines) {
        const Json ratios = rival.value("ratio", Json::object());
        cells.push_back(ratios.contains(engine) ? number_text(ratios[engine]) + "x" : "-");
      }
      cells.push_back(
          rival.contains("ratio_at_ceiling") ? number_text(rival["ratio_at_ceiling"]) + "x" : "-");
      text += row(cells);
    }
  }
  return text;
}

inline std::string memory_table(const Json& report) {
  constexpr double kGigabyte = 1e9;
  std::map<std::string, double> smallest_rival;
  for (const Json& entry : report["memory"]) {
    if (!entry.contains("peak_bytes") || is_ours(entry["who"])) continue;
    double& least = smallest_rival[entry["name"]];
    const double bytes = entry["peak_bytes"];
    least = least == 0 ? bytes : std::min(least, bytes);
  }
  std::string text = row({"peak memory of a process", "who", "GB", "of the smallest rival's"}) +
                     row({"---", "---", "---", "---"});
  for (const Json& entry : report["memory"]) {
    const bool measured = entry.contains("peak_bytes");
    const double rival = smallest_rival[entry["name"]];
    text += row({entry["name"], entry["who"],
                 measured ? number_text(entry["peak_bytes"].get<double>() / kGigabyte)
                          : error_text(entry.value("error", "-")),
                 measured && rival > 0 && is_ours(entry["who"])
                     ? percent_text(entry["peak_bytes"].get<double>() / rival)
                     : "-"});
  }
  return text;
}

inline std::string compile_table(const Json& report) {
  constexpr double kGigabyte = 1e9;
  std::string text =
      row({"compiling", "with", "seconds", "of the processor", "GB", "within 60 s and 2 GB"}) +
      row(std::vector<std::string>(6, "---"));
  for (const Json& entry : report["compile"]) {
    const auto parts = parts_of(entry["name"]);
    if (entry.contains("error")) {
      text += row({parts[2], entry["who"], error_text(entry["error"]), "-", "-", "no"});
      continue;
    }
    const double seconds = entry["seconds"];
    const double bytes = entry.value("peak_bytes", 0.0);
    text += row({parts[2], entry["who"], number_text(seconds),
                 number_text(entry.value("cpu_seconds", 0.0)), number_text(bytes / kGigabyte),
                 seconds <= kCompileSeconds && bytes <= kCompileBytes ? "yes" : "no"});
  }
  return text;
}

}  // namespace internal

/// All of it: the facts, the ceilings, and a table for each kind of measurement that is there.
inline std::string cpu_tables(const Json& report) {
  using namespace internal;
  constexpr double kGiga = 1e9;
  std::string text;
  for (const auto& [name, value] : report["facts"].items()) {
    text += "- " + name + ": " + value.get<std::string>() + "\n";
  }
  std::string ceilings;
  for (const auto& [precision, flops] : report["ceilings"]["product_flops_per_s"].items()) {
    ceilings += precision + " products " + number_text(flops.get<double>() / kGiga, "GFLOP/s, ");
  }
  const double stream = report["ceilings"]["stream_bytes_per_s"];
  if (stream > 0) ceilings += "memory " + number_text(stream / kGiga, "GB/s");
  if (!ceilings.empty()) text += "- ceilings: " + ceilings + "\n";
  text += "- rounds: " + std::to_string(report["rounds"].get<int>()) + "\n";
  if (!report["benchmarks"].empty()) text += "\n" + benchmark_table(report);
  if (!report["memory"].empty()) text += "\n" + memory_table(report);
  if (!report["compile"].empty()) text += "\n" + compile_table(report);
  return text;
}

/// `document` with the tables between its two marks. Throws if it has no such marks.
inline std::string with_tables(const std::string& document, const std::string& tables) {
  const std::string begin = "<!-- tables of ./run bench -->\n";
  const std::string end = "<!-- end of tables -->";
  const auto from = document.find(begin);
  const auto to = document.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from) {
    throw std::runtime_error("the document lacks the lines '" + begin + "' and '" + end + "'");
  }
  return document.substr(0, from + begin.size()) + tables + document.substr(to);
}

}  // namespace vid2vox::bench
