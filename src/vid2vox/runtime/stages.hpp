#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace vid2vox::runtime {

/// The most memory (bytes, resident) that this process has held so far: VmHWM of
/// /proc/self/status where there is one, else getrusage.
inline std::uint64_t peak_memory_bytes() {
  constexpr std::uint64_t kKibibyte = 1024;
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    unsigned long long kibibytes = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kibibytes) == 1) return kibibytes * kKibibyte;
  }
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * kKibibyte;  // Linux counts in KiB
}

/// Wall time and memory of a program's stages. `start` ends the stage before it; a name that comes
/// again adds to its earlier time.
class StageTimer {
 public:
  struct Stage {
    std::string name;
    double seconds = 0;
    // The peak belongs to the process, not to the stage: what it was when the stage ended.
    std::uint64_t peak_memory_bytes = 0;
  };

  StageTimer() = default;
  explicit StageTimer(const std::string& first) { start(first); }

  void start(const std::string& name) {
    finish();
    running_ = index_of(name);
    began_ = Clock::now();
  }

  /// Ends the running stage, if any.
  void finish() {
    if (running_ == kNone) return;
    stages_[running_].seconds += elapsed();
    stages_[running_].peak_memory_bytes = runtime::peak_memory_bytes();
    running_ = kNone;
  }

  /// Notes a stage that took place elsewhere (for example in the run that this one resumes).
  void record(const std::string& name, double seconds) {
    Stage& stage = stages_[index_of(name)];
    stage.seconds += seconds;
    stage.peak_memory_bytes = runtime::peak_memory_bytes();
  }

  [[nodiscard]] const std::vector<Stage>& stages() const { return stages_; }

  /// Sum over the stages that have ended.
  [[nodiscard]] double total_seconds() const {
    double total = 0;
    for (const Stage& stage : stages_) total += stage.seconds;
    return total;
  }

  /// {"stage": seconds, ...} in the order in which the stages began.
  [[nodiscard]] nlohmann::ordered_json seconds_per_stage() const {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (const Stage& stage : stages_) object[stage.name] = stage.seconds;
    return object;
  }

  /// Ends the running stage and prints the table: stage, seconds, peak memory in MB (10^6 bytes).
  void print(std::FILE* stream = stdout) {
    finish();
    constexpr double kMegabyte = 1e6;
    std::size_t width = std::string("stage").size();
    for (const Stage& stage : stages_) width = std::max(width, stage.name.size());
    const int column = static_cast<int>(width);
    std::fprintf(stream, "\n%-*s  %10s  %14s\n", column, "stage", "seconds", "peak so far MB");
    for (const Stage& stage : stages_) {
      std::fprintf(stream, "%-*s  %10.2f  %14.1f\n", column, stage.name.c_str(), stage.seconds,
                   static_cast<double>(stage.peak_memory_bytes) / kMegabyte);
    }
    std::fprintf(stream, "%-*s  %10.2f  %14.1f\n", column, "total", total_seconds(),
                 static_cast<double>(runtime::peak_memory_bytes()) / kMegabyte);
    std::fflush(stream);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(Clock::now() - began_).count();
  }

  std::size_t index_of(const std::string& name) {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].name == name) return i;
    }
    stages_.push_back({.name = name});
    return stages_.size() - 1;
  }

  std::vector<Stage> stages_;
  std::size_t running_ = kNone;
  Clock::time_point began_;
};

}  // namespace vid2vox::runtime
