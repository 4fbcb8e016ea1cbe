// gpu_report FOLDER FILE: writes the report of a run on a GPU, and prints its main lines.
#include "gpu_report.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "vid2vox/io/file.hpp"

namespace {

using vid2vox::bench::Json;

/// One line for each part, and under it the programs that did not end well or were left out.
void print_parts(const Json& report) {
  for (const Json& part : report["parts"]) {
    const Json& programs = part["programs"];
    const auto good = std::count_if(programs.begin(), programs.end(), [](const Json& program) {
      return program["status"] == "ok" || program["status"] == "no_device";
    });
    std::printf("part %-10s limit %3.0f s, took %3.0f s, %d of %d programs as they should be\n",
                part["part"].get<std::string>().c_str(), part["limit_seconds"].get<double>(),
                part["seconds"].get<double>(), static_cast<int>(good),
                static_cast<int>(programs.size()));
    for (const Json& program : programs) {
      const auto status = program["status"].get<std::string>();
      if (status == "ok") continue;
      std::printf("  %-30s %-11s %.56s\n", program["program"].get<std::string>().c_str(),
                  status.c_str(), program.value("reason", "").c_str());
    }
  }
}

void print_outcomes(const Json& report) {
  for (const Json& name : report.value("missing_libraries", Json::array())) {
    std::printf("library not found: %s\n", name.get<std::string>().c_str());
  }
  const Json& tests = report["tests"];
  std::printf("tests: %d passed, %d failed, %d skipped, %d cut\n", tests["passed"].get<int>(),
              tests["failed"].get<int>(), tests["skipped"].get<int>(), tests["cut"].get<int>());
  for (const Json& entry : tests["cases"]) {
    if (entry["outcome"] != "failed" && entry["outcome"] != "cut") continue;
    std::printf("  %s: %s: %s\n", entry["program"].get<std::string>().c_str(),
                entry["name"].get<std::string>().c_str(),
                entry["outcome"].get<std::string>().c_str());
  }
  for (const Json& run : report["sanitizer"]) {
    if (run["status"] != "errors") continue;
    std::printf("%s of %s: %s\n", run["tool"].get<std::string>().c_str(),
                run["program"].get<std::string>().c_str(),
                run["summary"].get<std::string>().c_str());
  }
}

void print_benchmarks(const Json& report) {
  for (const Json& entry : report["benchmarks"]) {
    std::printf("%-66s", entry["name"].get<std::string>().c_str());
    if (entry.contains("ours") && entry["ours"].contains("microseconds")) {
      std::printf(" %10.1f us", entry["ours"]["microseconds"].get<double>());
      if (entry["ours"].contains("share_of_floor")) {
        std::printf(" %3.0f%% of floor", 100 * entry["ours"]["share_of_floor"].get<double>());
      }
    } else if (entry.contains("ours")) {
      std::printf(" %s", entry["ours"].value("error", "no time").c_str());
    }
    for (const Json& rival : entry["rivals"]) {
      if (!rival.contains("ratio")) continue;
      std::printf("  %s x%.2f", rival["who"].get<std::string>().c_str(),
                  rival["ratio"].get<double>());
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: gpu_report FOLDER FILE\n";
    return 2;
  }
  try {
    const Json report = vid2vox::bench::gpu_report(argv[1]);
    vid2vox::io::AtomicFile file(argv[2]);
    file.write(report.dump(1) + "\n");
    file.commit();
    print_parts(report);
    print_outcomes(report);
    print_benchmarks(report);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
