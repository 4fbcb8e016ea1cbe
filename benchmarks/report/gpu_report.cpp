// gpu_report FOLDER FILE: writes the report of a run on a GPU, and prints its main lines.
#include "gpu_report.hpp"

#include <cstdio>
#include <iostream>

namespace {

using vid2vox::bench::Json;

void print_outcomes(const Json& report) {
  for (const auto& [step, result] : report["steps"].items()) {
    std::cout << "step " << step << ": " << result["outcome"].get<std::string>() << "\n";
  }
  if (report.contains("targets") && report["targets"].contains("missing")) {
    std::cout << "not built: " << report["targets"]["missing"].dump() << "\n";
  }
  if (report.contains("tests")) {
    const Json& tests = report["tests"];
    std::cout << "tests: " << tests["passed"] << " passed, " << tests["failed"] << " failed, "
              << tests["skipped"] << " skipped\n";
  }
  for (const Json& run : report.value("sanitizer", Json::array())) {
    if (run["status"] == "clean") continue;
    std::cout << "sanitizer: " << run["program"].get<std::string>() << " "
              << run["tool"].get<std::string>() << ": " << run["status"].get<std::string>() << "\n";
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
    const std::string file = argv[2];
    {
      std::ofstream out(file + ".part");
      out << report.dump(1) << "\n";
      if (!out.flush()) throw std::runtime_error("cannot write " + file);
    }
    std::filesystem::rename(file + ".part", file);
    print_outcomes(report);
    std::cout.flush();
    print_benchmarks(report);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
