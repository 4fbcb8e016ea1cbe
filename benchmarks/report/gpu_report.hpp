#pragma once

#include "measurements.hpp"

// Puts together the report of a run on a GPU (docs/gpu.md) from what its programs have left in a
// folder. Whatever is not there yet is left out, so that the report can be written after every
// program.

namespace vid2vox::bench {

namespace internal {

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

/// An XML element's text from `begin` on, without the space around it, of at most 300 characters.
inline std::string first_lines(const std::string& text, std::size_t begin) {
  constexpr std::size_t kMost = 300;
  const std::string space = " \t\n";
  std::string part = text.substr(begin, text.find('<', begin) - begin);
  const auto first = part.find_first_not_of(space);
  if (first == std::string::npos) return "";
  part = part.substr(first, part.find_last_not_of(space) - first + 1);
  return unescape_xml(part).substr(0, kMost);
}

/// The folder's files of this kind by name; none where there is no such folder.
inline std::vector<fs::path> files_of(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace internal

/// The cases in what Catch2's XML reporter wrote, of a program that may have been ended on the way.
/// A case without a result is the one during which that happened. Failures have their first
/// assertion.
inline Json test_cases(const std::string& program, const std::string& xml) {
  using internal::attribute;
  Json cases = Json::array();
  const std::string start = "<TestCase ";
  for (auto at = xml.find(start); at != std::string::npos;) {
    const auto next = xml.find(start, at + 1);
    const std::string text = xml.substr(at, next == std::string::npos ? next : next - at);
    Json entry{{"program", program}, {"name", attribute(text, "name")}};
    const auto result = text.find("<OverallResult ");
    std::string outcome = "cut";
    if (result != std::string::npos) {
      const std::string tag = text.substr(result);
      const bool passed = attribute(tag, "success") == "true";
      const bool skipped = text.find("[skipped]", result) != std::string::npos;
      outcome = !passed ? "failed" : skipped ? "skipped" : "passed";
      entry["seconds"] = internal::number(attribute(tag, "durationInSeconds"));
    }
    entry["outcome"] = outcome;
    const auto assertion = text.find("<Expanded>");
    if (outcome == "failed" && assertion != std::string::npos) {
      entry["assertion"] =
          internal::first_lines(text, assertion + std::string("<Expanded>").size());
    }
    cases.push_back(entry);
    at = next;
  }
  return cases;
}

/// All cases of the folder's files <program>.xml, and how many ended how.
inline Json test_results(const fs::path& folder) {
  Json result{{"passed", 0}, {"failed", 0}, {"skipped", 0}, {"cut", 0}, {"cases", Json::array()}};
  for (const fs::path& file : internal::files_of(folder, ".xml")) {
    for (const Json& entry : test_cases(file.stem().string(), read_text(file))) {
      const auto outcome = entry["outcome"].get<std::string>();
      result[outcome] = result[outcome].get<int>() + 1;
      result["cases"].push_back(entry);
    }
  }
  return result;
}

/// One run of compute-sanitizer: what its log shows, where it ended by itself.
inline Json sanitizer_result(const std::string& program, const std::string& tool,
                             const std::string& status, const std::string& log) {
  static const std::regex kErrors(R"(ERROR SUMMARY: (\d+) error)");
  static const std::regex kHazards(R"(RACECHECK SUMMARY: (\d+) hazards? displayed[^\n]*)");
  Json result{{"program", program}, {"tool", tool}};
  std::smatch match;
  const bool has_summary =
      std::regex_search(log, match, kErrors) || std::regex_search(log, match, kHazards);
  if (has_summary) {
    result["errors"] = std::stol(match[1]);
    result["summary"] = match[0];
  }
  std::string found = "failed";  // the program itself, or the sanitizer could not work
  if (status != "ok" && status != "failed") {
    found = status;
  } else if (has_summary && result["errors"] != 0) {
    found = "errors";
  } else if (has_summary && status == "ok") {
    found = log.find("[skipped]") == std::string::npos ? "clean" : "skipped";
  }
  result["status"] = found;
  return result;
}

/// The parts in order, each with its programs and how they ended, from parts.tsv, plan.tsv and
/// done.tsv (see gpu_report). A program of the plan that has not ended yet is not_reached.
inline Json part_results(const fs::path& folder) {
  using internal::field;
  using internal::number;
  std::map<std::string, Json> done;
  for (const auto& row : internal::read_table(folder / "done.tsv")) {
    Json& entry = done[row[0] + "\t" + field(row, 1)];
    entry = {{"program", field(row, 1)},
             {"status", field(row, 2)},
             {"exit_code", field(row, 3)},
             {"seconds", number(field(row, 4))}};
    if (!field(row, 5).empty()) entry["reason"] = field(row, 5);
  }
  const auto plan = internal::read_table(folder / "plan.tsv");
  Json parts = Json::array();
  for (const auto& row : internal::read_table(folder / "parts.tsv")) {
    Json part{{"part", row[0]}, {"kind", field(row, 1)}, {"limit_seconds", number(field(row, 2))}};
    double seconds = 0;
    Json programs = Json::array();
    for (const auto& planned : plan) {
      if (planned[0] != row[0]) continue;
      const auto ended = done.find(row[0] + "\t" + field(planned, 1));
      if (ended == done.end()) {
        programs.push_back({{"program", field(planned, 1)}, {"status", "not_reached"}});
      } else {
        programs.push_back(ended->second);
        seconds += ended->second["seconds"].get<double>();
      }
    }
    part["seconds"] = seconds;
    part["programs"] = programs;
    parts.push_back(part);
  }
  return parts;
}

/// Ours beside the rivals, by operation, precision and shape. `ratio` is the rival's time over
/// ours.
inline Json compare(const std::map<std::string, Measurement>& all) {
  const Ceilings ceilings = internal::ceilings_of(all);
  std::map<std::string, std::map<std::string, Measurement>> groups;
  for (const auto& [name, m] : all) {
    const auto slash = name.rfind('/');
    groups[name.substr(0, slash)][name.substr(slash + 1)] = m;
  }
  Json result = Json::array();
  for (const auto& [group, members] : groups) {
    const auto parts = internal::parts_of(group);
    Json entry{{"name", group}, {"rivals", Json::array()}};
    const auto ours = members.find("ours");
    for (const auto& [who, m] : members) {
      Json measured;
      if (m.error.empty()) {
        internal::add_rates(m, parts[1], ceilings, measured);
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

namespace internal {

/// What compute-sanitizer found, by the parts' programs.
inline Json sanitizer_results(const fs::path& folder, const Json& parts) {
  Json results = Json::array();
  for (const Json& part : parts) {
    const auto tool = part["kind"].get<std::string>();
    if (tool != "memcheck" && tool != "racecheck") continue;
    for (const Json& run : part["programs"]) {
      const auto program = run["program"].get<std::string>();
      results.push_back(
          sanitizer_result(program, tool, run["status"],
                           read_text(folder / "logs" / (program + "-" + tool + ".log"))));
    }
  }
  return results;
}

/// Adds the benchmarks' ceilings, contexts and times.
inline void add_benchmarks(const fs::path& folder, Json& report) {
  std::map<std::string, Measurement> all;
  for (const fs::path& path : files_of(folder / "bench", ".json")) {
    const Json file = parse_benchmarks(read_text(path));
    if (!file.is_object()) {
      report["unreadable"].push_back(path.filename().string());
      continue;
    }
    report["context"][path.stem().string()] = file.value("context", Json::object());
    all.merge(measurements(file));
  }
  const Ceilings ceilings = ceilings_of(all);
  report["ceilings"] = {{"copy_bytes_per_s", ceilings.copy_bytes_per_s},
                        {"product_flops_per_s", ceilings.product_flops_per_s}};
  report["benchmarks"] = compare(all);
}

}  // namespace internal

/// The whole report from the folder. Files, each of which may be absent: facts.tsv (name, value),
/// libraries.tsv (name, path, where it was found), missing.tsv (name), parts.tsv (part, kind,
/// seconds that it may take), plan.tsv (part, program), done.tsv (part, program, status, exit code,
/// seconds, reason), tests/<program>.xml, bench/<program>.json, logs/<program>-<sanitizer's
/// tool>.log.
inline Json gpu_report(const fs::path& folder) {
  using internal::field;
  using internal::read_table;
  Json report{{"format", 2}, {"facts", Json::object()}, {"libraries", Json::array()}};
  for (const auto& row : read_table(folder / "facts.tsv")) report["facts"][row[0]] = field(row, 1);
  for (const auto& row : read_table(folder / "libraries.tsv")) {
    report["libraries"].push_back(
        {{"name", row[0]}, {"path", field(row, 1)}, {"found_in", field(row, 2)}});
  }
  for (const auto& row : read_table(folder / "missing.tsv")) {
    report["missing_libraries"].push_back(row[0]);
  }
  report["parts"] = part_results(folder);
  report["tests"] = test_results(folder / "tests");
  report["sanitizer"] = internal::sanitizer_results(folder, report["parts"]);
  internal::add_benchmarks(folder, report);
  return report;
}

}  // namespace vid2vox::bench
