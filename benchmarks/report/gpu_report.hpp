#pragma once

#include "measurements.hpp"

// Puts together the report of a run on a GPU (docs/gpu.md) from what its steps have left in a
// folder. Whatever is not there yet is left out, so that the report can be written after every
// step.

namespace vid2vox::bench {

namespace report_detail {

inline std::string unescape_xml(std::string text) {
  const std::pair<const char*, const char*> entities[] = {
      {"&quot;", "\""}, {"&apos;", "'"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}};
  for (const auto& [entity, character] : entities) {
    for (auto at = text.find(entity); at != std::string::npos; at = text.find(entity, at + 1)) {
      text.replace(at, std::string(entity).size(), character);
    }
  }
  return text;
}

/// An attribute of an XML tag's text.
inline std::string attribute(const std::string& tag, const std::string& name) {
  const std::string start = " " + name + "=\"";
  const auto at = tag.find(start);
  if (at == std::string::npos) return "";
  const auto begin = at + start.size();
  return unescape_xml(tag.substr(begin, tag.find('"', begin) - begin));
}

}  // namespace report_detail

/// What ctest wrote with --output-junit.
inline Json test_results(const std::string& junit) {
  Json cases = Json::array();
  std::map<std::string, int> count{{"passed", 0}, {"failed", 0}, {"skipped", 0}};
  const std::string start = "<testcase ";
  for (auto at = junit.find(start); at != std::string::npos; at = junit.find(start, at + 1)) {
    const std::string tag = junit.substr(at, junit.find('>', at) - at);
    const std::string status = report_detail::attribute(tag, "status");
    const std::string outcome = status == "run"    ? "passed"
                                : status == "fail" ? "failed"
                                                   : "skipped";
    ++count[outcome];
    cases.push_back({{"name", report_detail::attribute(tag, "name")},
                     {"outcome", outcome},
                     {"seconds", report_detail::number(report_detail::attribute(tag, "time"))}});
  }
  Json result;
  for (const auto& [outcome, cases_of_it] : count) result[outcome] = cases_of_it;
  result["cases"] = cases;
  return result;
}

/// One run of compute-sanitizer. `exit_code` is that of `timeout`, which gives 124 (or 137, when it
/// had to kill) where time was up, and "not_run" where there was none left to begin.
inline Json sanitizer_result(const std::string& program, const std::string& tool,
                             const std::string& exit_code, double seconds, const std::string& log) {
  static const std::regex kErrors(R"(ERROR SUMMARY: (\d+) error)");
  static const std::regex kHazards(R"(RACECHECK SUMMARY: (\d+) hazards? displayed[^\n]*)");
  Json result{{"program", program}, {"tool", tool}, {"seconds", seconds}};
  std::smatch match;
  const bool has_summary =
      std::regex_search(log, match, kErrors) || std::regex_search(log, match, kHazards);
  if (has_summary) {
    result["errors"] = std::stol(match[1]);
    result["summary"] = match[0];
  }
  std::string status = "failed";  // the program itself, or the sanitizer could not work
  if (exit_code == "not_run") {
    status = "not_run";
  } else if (exit_code == "124" || exit_code == "137") {
    status = "out_of_time";
  } else if (has_summary && result["errors"] != 0) {
    status = "errors";
  } else if (has_summary && exit_code == "0") {
    status = log.find("[skipped]") == std::string::npos ? "clean" : "skipped";
  }
  result["status"] = status;
  return result;
}

/// Ours beside the rivals, by operation, precision and shape. `ratio` is the rival's time over
/// ours.
inline Json compare(const std::map<std::string, Measurement>& all) {
  const Ceilings ceilings = report_detail::ceilings_of(all);
  std::map<std::string, std::map<std::string, Measurement>> groups;
  for (const auto& [name, m] : all) {
    const auto slash = name.rfind('/');
    groups[name.substr(0, slash)][name.substr(slash + 1)] = m;
  }
  Json result = Json::array();
  for (const auto& [group, members] : groups) {
    const auto parts = report_detail::parts_of(group);
    Json entry{{"name", group}, {"rivals", Json::array()}};
    const auto ours = members.find("ours");
    for (const auto& [who, m] : members) {
      Json measured;
      if (m.error.empty()) {
        report_detail::add_rates(m, parts[1], ceilings, measured);
      } else {
        measured["error"] = m.error;
      }
      if (who == "ours") {
        entry["ours"] = measured;
        continue;
      }
      measured["who"] = who;
      const bool both = ours != members.end() && ours->second.error.empty() && m.error.empty();
      if (both && ours->second.seconds > 0) measured["ratio"] = m.seconds / ours->second.seconds;
      entry["rivals"].push_back(measured);
    }
    result.push_back(entry);
  }
  return result;
}

/// The whole report from the folder. Files, each of which may be absent: facts.tsv (name, value),
/// steps.tsv (step, outcome, seconds, remark), targets.tsv (target, built or missing), tests.xml,
/// sanitizer.tsv (program, tool, exit code, seconds, log), bench.tsv (program, exit code, seconds),
/// bench/*.json.
inline Json gpu_report(const fs::path& folder) {
  using report_detail::field;
  using report_detail::number;
  using report_detail::read_table;
  using report_detail::read_text;
  Json report{{"format", 1}, {"facts", Json::object()}, {"steps", Json::object()}};
  for (const auto& row : read_table(folder / "facts.tsv")) report["facts"][row[0]] = field(row, 1);
  for (const auto& row : read_table(folder / "steps.tsv")) {
    report["steps"][row[0]] = {
        {"outcome", field(row, 1)}, {"seconds", number(field(row, 2))}, {"remark", field(row, 3)}};
  }
  for (const auto& row : read_table(folder / "targets.tsv")) {
    report["targets"][field(row, 1)].push_back(row[0]);
  }
  if (fs::exists(folder / "tests.xml")) {
    report["tests"] = test_results(read_text(folder / "tests.xml"));
  }
  for (const auto& row : read_table(folder / "sanitizer.tsv")) {
    report["sanitizer"].push_back(sanitizer_result(row[0], field(row, 1), field(row, 2),
                                                   number(field(row, 3)),
                                                   read_text(folder / field(row, 4))));
  }
  for (const auto& row : read_table(folder / "bench.tsv")) {
    report["programs"].push_back(
        {{"program", row[0]}, {"exit_code", field(row, 1)}, {"seconds", number(field(row, 2))}});
  }
  std::map<std::string, Measurement> all;
  if (fs::is_directory(folder / "bench")) {
    for (const auto& entry : fs::directory_iterator(folder / "bench")) {
      if (entry.path().extension() != ".json") continue;
      const Json file = parse_benchmarks(read_text(entry.path()));
      if (!file.is_object()) {
        report["unreadable"].push_back(entry.path().filename().string());
        continue;
      }
      report["context"][entry.path().stem().string()] = file.value("context", Json::object());
      all.merge(measurements(file));
    }
  }
  const Ceilings ceilings = report_detail::ceilings_of(all);
  report["ceilings"] = {{"copy_bytes_per_s", ceilings.copy_bytes_per_s},
                        {"product_flops_per_s", ceilings.product_flops_per_s}};
  report["benchmarks"] = compare(all);
  return report;
}

}  // namespace vid2vox::bench
