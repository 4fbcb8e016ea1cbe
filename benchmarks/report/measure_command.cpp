// measure_command RESULT.json NAME COMMAND [ARGUMENT...]: runs the command and writes its seconds,
// its processor seconds and the largest resident memory of one of its processes, in Google
// Benchmark's form.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

namespace {

double seconds_of(const timeval& time) {
  constexpr double kMicro = 1e-6;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * kMicro;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kCommand = 3;
  constexpr int kCannotRun = 127;
  constexpr double kBytesOfUnit = 1024;  // ru_maxrss counts KiB
  if (argc <= kCommand) {
    std::cerr << "usage: measure_command RESULT.json NAME COMMAND [ARGUMENT...]\n";
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    execvp(argv[kCommand], argv + kCommand);
    _exit(kCannotRun);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) {
    std::cerr << "error: cannot run " << argv[kCommand] << "\n";
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  nlohmann::ordered_json entry{{"name", argv[2]}, {"run_name", argv[2]}};
  if (good) {
    entry["real_time"] = seconds.count();
    entry["time_unit"] = "s";
    entry["cpu_seconds"] = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    entry["peak_bytes"] = static_cast<double>(usage.ru_maxrss) * kBytesOfUnit;
  } else {
    entry["error_occurred"] = true;
    entry["error_message"] = "the command failed";
  }
  std::ofstream(argv[1]) << nlohmann::ordered_json{{"context", nlohmann::ordered_json::object()},
                                                   {"benchmarks", {entry}}}
                                .dump(1)
                         << "\n";
  return good ? 0 : 1;
}
