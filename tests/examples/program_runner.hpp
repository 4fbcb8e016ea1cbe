#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/io/video_writer.hpp"

// Runs the programs as a user does, on small videos made for it.

namespace vid2vox::testing {

using Path = std::filesystem::path;

inline std::string contents(const Path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// How a program ended, and its standard output and error together.
struct Outcome {
  int code = 0;  // -1: ended by a signal
  std::string output;
};

inline bool says(const Outcome& outcome, const std::string& words) {
  return outcome.output.find(words) != std::string::npos;
}

inline Outcome outcome_of(int status, const Path& log) {
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents(log)};
}

/// "NAME ARGUMENTS" through the shell. One thread: the models are small, and tests run beside
/// others.
inline std::string command_line(const std::string& program, const std::string& arguments,
                                const Path& log) {
  return "OMP_NUM_THREADS=1 exec '" + std::string(VID2VOX_PROGRAMS) + "/" + program + "' " +
         arguments + " > '" + log.string() + "' 2>&1";
}

inline Outcome run(const std::string& program, const std::string& arguments) {
  const TemporaryFolder folder;
  const Path log = folder.path() / "log.txt";
  const int status = std::system(command_line(program, arguments, log).c_str());
  return outcome_of(status, log);
}

/// Runs a program that has to succeed.
inline std::string succeed(const std::string& program, const std::string& arguments) {
  const Outcome outcome = run(program, arguments);
  INFO(program << " " << arguments << "\n" << outcome.output);
  REQUIRE(outcome.code == 0);
  return outcome.output;
}

/// Runs a program that has to fail with one line "error: ..." (or CLI11's message), holding words.
inline void fail(const std::string& program, const std::string& arguments,
                 const std::vector<std::string>& words) {
  const Outcome outcome = run(program, arguments);
  INFO(program << " " << arguments << "\n" << outcome.output);
  CHECK(outcome.code > 0);
  for (const std::string& word : words) {
    INFO("expected: " << word);
    CHECK(says(outcome, word));
  }
}

/// Arguments with one option's value replaced: a repeated option would be an error of its own.
inline std::string with(std::string arguments, const std::string& option, const std::string& now) {
  const std::size_t at = arguments.find(option);
  REQUIRE(at != std::string::npos);
  return arguments.replace(at, option.size(), now);
}

inline std::vector<std::string> lines(const Path& path) {
  std::ifstream file(path);
  std::vector<std::string> result;
  for (std::string line; std::getline(file, line);) result.push_back(line);
  return result;
}

inline std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) result.push_back(cell);
  return result;
}

/// The rows of a loss.csv without their last cell, the seconds.
inline std::vector<std::string> losses(const Path& folder) {
  std::vector<std::string> result = lines(folder / "loss.csv");
  for (std::string& line : result) line.resize(line.rfind(','));
  return result;
}

/// Starts a program, waits until its loss.csv has `rows` rows after the header, sends the signal
/// and waits for the end.
inline Outcome interrupt(const std::string& program, const std::string& arguments,
                         const Path& loss_csv, std::size_t rows, int signal_number) {
  const TemporaryFolder folder;
  const Path log = folder.path() / "log.txt";
  const std::string command = command_line(program, arguments, log);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  while (lines(loss_csv).size() < rows + 1 && waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(child, signal_number);
  waitpid(child, &status, 0);
  return outcome_of(status, log);
}

/// Whether two training folders hold the same bits, the seconds aside.
inline void check_same_run(const Path& a, const Path& b) {
  CHECK(contents(a / "model.safetensors") == contents(b / "model.safetensors"));
  CHECK(contents(a / "training.safetensors") == contents(b / "training.safetensors"));
  CHECK(losses(a) == losses(b));
}

/// Everything in a folder, to see that nothing changed: names and bytes.
inline std::string fingerprint(const Path& folder) {
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string result;
  for (const Path& file : files) result += file.string() + "\n" + contents(file);
  return result;
}

/// Frames [n, height, width, 3] of two colored squares that move over a striped ground; the colors
/// are fewer than 32. From frame `changed` on, the squares go elsewhere.
inline std::vector<std::uint8_t> moving_shapes(std::uint64_t seed, int count, int height, int width,
                                               int changed = 1 << 30) {
  constexpr int kSide = 14;
  const RandomKey key{seed, 0, stream_of("moving shapes")};
  std::vector<std::uint8_t> frames;
  frames.reserve(static_cast<std::size_t>(count * height * width) * 3);
  for (int i = 0; i < count; ++i) {
    const int time = i < changed ? i : 3 * i + 40;
    const int speed = 1 + static_cast<int>(key.uniform(static_cast<std::uint64_t>(i / 60)) * 4);
    const int x0 = (time * speed / 2) % (width - kSide);
    const int y0 = (time / 3 + static_cast<int>(seed) * 7) % (height - kSide);
    const int x1 = width - kSide - (time / 2) % (width - kSide);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const bool first = x >= x0 && x < x0 + kSide && y >= y0 && y < y0 + kSide;
        const bool second = x >= x1 && x < x1 + kSide && y >= height / 2 && y < height / 2 + kSide;
        const bool stripe = ((x + time / 4) / 8) % 2 == 0 && y > 3 * height / 4;
        frames.push_back(first ? 230 : second ? 30 : stripe ? 120 : 60);
        frames.push_back(first ? 60 : second ? 200 : stripe ? 90 : 120);
        frames.push_back(first ? 50 : second ? 60 : stripe ? 40 : 200);
      }
    }
  }
  return frames;
}

/// A video of this length at 60 frames a second, 72 x 88.
inline std::string write_video(const Path& path, std::uint64_t seed, int seconds) {
  constexpr int kHeight = 72;
  constexpr int kWidth = 88;
  constexpr int kRate = 60;
  io::write_mp4(path, moving_shapes(seed, seconds * kRate, kHeight, kWidth), kHeight, kWidth,
                kRate);
  return path.string();
}

/// Three runs in a folder, as the arguments of --video.
inline std::string write_videos(const Path& folder, int seconds = 8) {
  std::string names;
  for (std::uint64_t run = 1; run <= 3; ++run) {
    names += " " + write_video(folder / ("run-" + std::to_string(run) + ".mp4"), run, seconds);
  }
  return names;
}

}  // namespace vid2vox::testing
