#pragma once

#include <cmath>
#include <cstdio>
#include <optional>
#include <set>

#include "measurements.hpp"

// Puts together the report of `./run bench` (docs/performance.md) from what its programs have left
// in a folder, and prints it as tables.

namespace vid2vox::bench {

/// Measurements by benchmark's name, one map a round.
using Rounds = std::vector<std::map<std::string, Measurement>>;

namespace internal {

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Every .json file of a folder; what a program's end left unfinished counts as far as it goes.
inline std::map<std::string, Measurement> read_folder(const fs::path& folder, Json& contexts) {
  std::map<std::string, Measurement> all;
  if (!fs::is_directory(folder)) return all;
  std::set<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.insert(entry.path());
  for (const fs::path& path : paths) {
    if (path.extension() != ".json") continue;
    const Json file = parse_benchmarks(read_text(path));
    if (!file.is_object()) continue;
    // "<program>-<group>.json": groups of a program have the same context but for torch's ways.
    const std::string stem = path.stem().string();
    contexts[stem.substr(0, stem.find('-'))].update(file.value("context", Json::object()), true);
    all.merge(measurements(file));
  }
  return all;
}

/// A benchmark over all rounds: medians, or what went wrong.
inline std::optional<Measurement> over_rounds(const Rounds& rounds, const std::string& name) {
  std::optional<Measurement> result;
  std::vector<double> seconds;
  for (const auto& round : rounds) {
    const auto found = round.find(name);
    if (found == round.end()) continue;
    if (!result || !result->error.empty()) result = found->second;
    if (found->second.error.empty()) seconds.push_back(found->second.seconds);
  }
  if (seconds.empty()) return result;
  result->seconds = median(seconds);
  const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
  result->spread = (*most - *least) / result->seconds;
  return result;
}

/// Median over the rounds of the rival's time over ours.
inline std::optional<double> ratio(const Rounds& rounds, const std::string& rival,
                                   const std::string& ours) {
  std::vector<double> ratios;
  for (const auto& round : rounds) {
    const auto r = round.find(rival);
    const auto o = round.find(ours);
    if (r == round.end() || o == round.end()) continue;
    if (!r->second.error.empty() || !o->second.error.empty() || o->second.seconds <= 0) continue;
    ratios.push_back(r->second.seconds / o->second.seconds);
  }
  if (ratios.empty()) return std::nullopt;
  return median(ratios);
}

inline const std::string kOursPrefix = "ours_";
inline bool is_ours(const std::string& who) { return who.rfind(kOursPrefix, 0) == 0; }

/// The fastest stream of memory and the fastest product of each precision, whoever did it.
inline Ceilings cpu_ceilings(const Rounds& rounds, const std::set<std::string>& names) {
  Ceilings result;
  for (const std::string& name : names) {
    const auto parts = parts_of(name);
    const auto m = over_rounds(rounds, name);
    if (!m || !m->error.empty()) continue;
    if (parts[0].rfind("stream_", 0) == 0) {
      result.copy_bytes_per_s = std::max(result.copy_bytes_per_s, rate(m->bytes, *m));
    }
    if (parts[0] == "product") {
      double& best = result.product_flops_per_s[parts[1]];
      best = std::max(best, rate(m->flops, *m));
    }
  }
  return result;
}

/// Sorts workloads: by operation and shape, float32 before others.
struct Workload {
  std::string operation, shape, precision;
  [[nodiscard]] std::string name() const { return operation + "/" + precision + "/" + shape; }
  friend bool operator<(const Workload& a, const Workload& b) {
    const auto key = [](const Workload& w) {
      return std::tuple(w.operation, w.shape, w.precision != "fp32", w.precision);
    };
    return key(a) < key(b);
  }
};

}  // namespace internal

/// One entry for each operation, precision and shape that we have measured. Rivals are those of the
/// same precision and, for other precisions, those in float32 too; `ratio` is, by engine of ours,
/// the median over the rounds of the rival's time over ours.
inline Json compare_rounds(const Rounds& rounds) {
  using namespace internal;
  std::set<std::string> names;
  for (const auto& round : rounds) {
    for (const auto& [name, m] : round) names.insert(name);
  }
  const Ceilings ceilings = cpu_ceilings(rounds, names);
  std::map<Workload, std::set<std::string>> who_by_workload;
  for (const std::string& name : names) {
    const auto parts = parts_of(name);
    who_by_workload[{parts[0], parts[2], parts[1]}].insert(parts[3]);
  }
  Json result = Json::array();
  for (const auto& [workload, everyone] : who_by_workload) {
    Json entry{{"name", workload.name()}, {"ours", Json::object()}, {"rivals", Json::array()}};
    for (const std::string& who : everyone) {
      if (!is_ours(who)) continue;
      const auto m = over_rounds(rounds, workload.name() + "/" + who);
      Json& into = entry["ours"][who.substr(kOursPrefix.size())];
      if (m->error.empty()) {
        add_rates(*m, workload.precision, ceilings, into);
      } else {
        into["error"] = m->error;
      }
    }
    if (entry["ours"].empty()) continue;
    std::set<std::string> precisions{workload.precision, "fp32"};
    for (const std::string& precision : precisions) {
      const Workload same{workload.operation, workload.shape, precision};
      const auto found = who_by_workload.find(same);
      if (found == who_by_workload.end()) continue;
      for (const std::string& who : found->second) {
        if (is_ours(who)) continue;
        const std::string name = same.name() + "/" + who;
        const auto m = over_rounds(rounds, name);
        Json rival{{"who", who}, {"precision", precision}};
        if (m->error.empty()) {
          rival["microseconds"] = m->seconds * 1e6;
          rival["spread"] = m->spread;
          for (const auto& [engine, ours] : entry["ours"].items()) {
            const auto r = ratio(rounds, name, workload.name() + "/" + kOursPrefix + engine);
            if (r) rival["ratio"][engine] = *r;
            // The ratio that a program at the ceiling would have.
            if (ours.contains("share_of_floor")) {
              rival["ratio_at_ceiling"] =
                  m->seconds * 1e6 /
                  (ours["share_of_floor"].get<double>() * ours["microseconds"].get<double>());
            }
          }
        } else {
          rival["error"] = m->error;
        }
        entry["rivals"].push_back(rival);
      }
    }
    result.push_back(entry);
  }
  return result;
}

/// Peak memory and seconds of whole programs: name and who -> measured.
inline Json whole_programs(const std::map<std::string, Measurement>& all) {
  Json result = Json::array();
  for (const auto& [name, m] : all) {
    const auto parts = internal::parts_of(name);
    Json entry{{"name", parts[0] + "/" + parts[1] + "/" + parts[2]}, {"who", parts[3]}};
    if (m.error.empty()) {
      entry["seconds"] = m.seconds;
      for (const auto& [counter, value] : m.counters) entry[counter] = value;
    } else {
      entry["error"] = m.error;
    }
    result.push_back(entry);
  }
  return result;
}

/// The whole report from the folder. Files, each of which may be absent: facts.tsv (name, value),
/// rounds/<number>/*.json, memory/*.json, compile/*.json.
inline Json cpu_report(const fs::path& folder) {
  using namespace internal;
  Json report{{"format", 1}, {"facts", Json::object()}, {"context", Json::object()}};
  for (const auto& row : read_table(folder / "facts.tsv")) report["facts"][row[0]] = field(row, 1);
  Rounds rounds;
  for (int number = 1; fs::is_directory(folder / "rounds" / std::to_string(number)); ++number) {
    rounds.push_back(read_folder(folder / "rounds" / std::to_string(number), report["context"]));
  }
  report["rounds"] = rounds.size();
  std::set<std::string> names;
  for (const auto& round : rounds) {
    for (const auto& [name, m] : round) names.insert(name);
  }
  const Ceilings ceilings = cpu_ceilings(rounds, names);
  report["ceilings"] = {{"stream_bytes_per_s", ceilings.copy_bytes_per_s},
                        {"product_flops_per_s", ceilings.product_flops_per_s}};
  report["benchmarks"] = compare_rounds(rounds);
  Json unused;
  report["memory"] = whole_programs(read_folder(folder / "memory", unused));
  report["compile"] = whole_programs(read_folder(folder / "compile", unused));
  return report;
}

}  // namespace vid2vox::bench
