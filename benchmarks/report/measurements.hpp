#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

// What the reports of both backends share: reading what a run has left in a folder.

namespace vid2vox::bench {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The whole of a file; empty if it cannot be read.
inline std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

namespace internal {

/// Lines of fields that are separated by tabs.
inline std::vector<std::vector<std::string>> read_table(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) {
    std::vector<std::string> fields;
    std::istringstream rest(line);
    for (std::string field; std::getline(rest, field, '\t');) fields.push_back(field);
    if (!fields.empty()) rows.push_back(fields);
  }
  return rows;
}

inline std::string field(const std::vector<std::string>& row, std::size_t i) {
  return i < row.size() ? row[i] : "";
}

inline double number(const std::string& text) {
  try {
    return std::stod(text);
  } catch (const std::exception&) {
    return 0;
  }
}

}  // namespace internal

/// A file of Google Benchmark; if the program was ended while it wrote, what stands before that.
/// Null if that is nothing.
inline Json parse_benchmarks(const std::string& text) {
  const Json whole = Json::parse(text, nullptr, false);
  if (!whole.is_discarded()) return whole;
  const std::string end_of_entry = "\n    }";
  const auto end = text.rfind(end_of_entry);
  if (end == std::string::npos) return nullptr;
  const Json start = Json::parse(text.substr(0, end) + end_of_entry + "]}", nullptr, false);
  return start.is_discarded() ? Json(nullptr) : start;
}

/// A benchmark's measurement: the median of its repetitions where there are some.
struct Measurement {
  double seconds = 0;
  double spread = 0;  // standard deviation over mean of the repetitions
  double bytes = 0;
  double flops = 0;
  std::string error;
  std::map<std::string, double> counters;
};

/// "<operation>/<precision>/<shape>/<who>" -> measurement, from a file of Google Benchmark or one
/// of the same form.
inline std::map<std::string, Measurement> measurements(const Json& file) {
  static const std::map<std::string, double> kUnits{
      {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
  static const std::vector<std::string> kOther{"mismatches",      "largest_excess",  "rescored",
                                               "measured",        "clips_per_s",     "captured",
                                               "tokens_per_s",    "peak_bytes",      "cpu_seconds",
                                               "pool_peak_bytes", "graph_peak_bytes"};
  std::map<std::string, Measurement> result;
  for (const Json& entry : file.value("benchmarks", Json::array())) {
    std::string name = entry.value("run_name", entry.value("name", ""));
    name = std::regex_replace(name, std::regex("/(manual_time|process_time|real_time|repeats:.*)"),
                              "");
    Measurement& measurement = result[name];
    if (entry.value("error_occurred", false)) {
      measurement.error = entry.value("error_message", "failed");
      continue;
    }
    const std::string aggregate = entry.value("aggregate_name", "");
    if (aggregate == "cv") measurement.spread = entry.value("real_time", 0.0);
    if (!aggregate.empty() && aggregate != "median") continue;
    measurement.seconds = entry.value("real_time", 0.0) * kUnits.at(entry.value("time_unit", "ns"));
    measurement.bytes = entry.value("bytes", 0.0);
    measurement.flops = entry.value("flops", 0.0);
    for (const std::string& counter : kOther) {
      if (entry.contains(counter)) measurement.counters[counter] = entry[counter];
    }
  }
  return result;
}

/// What the device was measured to do at most; 0 where that was not measured.
struct Ceilings {
  double copy_bytes_per_s = 0;
  std::map<std::string, double> product_flops_per_s;  // by precision
};

namespace internal {

/// The name's parts: operation, precision, shape, who.
inline std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  std::istringstream text(name);
  for (std::string part; std::getline(text, part, '/');) parts.push_back(part);
  parts.resize(4);
  return parts;
}

inline double rate(double amount, const Measurement& m) {
  return m.seconds > 0 ? amount / m.seconds : 0;
}

inline Ceilings ceilings_of(const std::map<std::string, Measurement>& all) {
  Ceilings result;
  for (const auto& [name, m] : all) {
    const auto parts = parts_of(name);
    if (parts[0] == "ceiling_copy") result.copy_bytes_per_s = rate(m.bytes, m);
    if (parts[0] == "ceiling_product") result.product_flops_per_s[parts[1]] = rate(m.flops, m);
  }
  return result;
}

/// Rates, and shares of the ceilings. The floor is the longer of the times that the bytes and the
/// operations take at the ceilings.
inline void add_rates(const Measurement& m, const std::string& precision, const Ceilings& ceilings,
                      Json& into) {
  into["microseconds"] = m.seconds * 1e6;
  into["spread"] = m.spread;
  double floor = 0;
  if (m.bytes > 0) {
    into["bytes_per_s"] = rate(m.bytes, m);
    if (ceilings.copy_bytes_per_s > 0) {
      into["share_of_copy_bandwidth"] = rate(m.bytes, m) / ceilings.copy_bytes_per_s;
      floor = m.bytes / ceilings.copy_bytes_per_s;
    }
  }
  const auto product = ceilings.product_flops_per_s.find(precision);
  if (m.flops > 0) {
    into["flops_per_s"] = rate(m.flops, m);
    if (product != ceilings.product_flops_per_s.end() && product->second > 0) {
      into["share_of_product_ceiling"] = rate(m.flops, m) / product->second;
      floor = std::max(floor, m.flops / product->second);
    }
  }
  if (floor > 0) into["share_of_floor"] = floor / m.seconds;
  for (const auto& [counter, value] : m.counters) into[counter] = value;
}

}  // namespace internal

}  // namespace vid2vox::bench
