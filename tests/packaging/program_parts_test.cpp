// The parts that the programs share: examples/common.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "programs/run_main.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/runtime/csv.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/progress.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace {

using namespace vid2vox::programs;
using namespace vid2vox::runtime;
using vid2vox::programs::run_main;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What `write` printed to a stream that is a file, hence no terminal.
template <class Write>
std::string printed(const Write& write) {
  const vid2vox::testing::TemporaryFolder folder;
  const auto path = folder.path() / "output";
  std::FILE* stream = std::fopen(path.c_str(), "w");
  write(stream);
  std::fclose(stream);
  return content(path);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("stage times add up by name and go to JSON in order") {
  StageTimer timer("read");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  timer.start("fit");
  timer.start("read");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  timer.finish();
  timer.record("train", 12.5);
  REQUIRE(timer.stages().size() == 3);
  CHECK(timer.stages()[0].seconds >= 0.04);
  CHECK(timer.stages()[1].seconds < 0.04);
  const auto json = timer.seconds_per_stage();
  CHECK(json.begin().key() == "read");
  CHECK(json["train"] == 12.5);
  CHECK(timer.total_seconds() >= 12.54);

  const std::string table = printed([&](std::FILE* stream) { timer.print(stream); });
  CHECK(count_of(table, "read") == 1);
  CHECK(count_of(table, "12.50") == 1);
  CHECK(count_of(table, "total") == 1);
}

TEST_CASE("peak memory sees a block that was touched and released") {
  constexpr std::size_t kBlock = 64U << 20U;
  const std::uint64_t before = peak_memory_bytes();
  REQUIRE(before > 0);
  {
    std::vector<char> block(before + kBlock, 1);
    CHECK(block[kBlock] == 1);
  }
  CHECK(peak_memory_bytes() >= before + kBlock);
}

TEST_CASE("durations") {
  CHECK(format_duration(7.4) == "7 s");
  CHECK(format_duration(185) == "3:05");
  CHECK(format_duration(7385) == "2:03:05");
  CHECK(format_duration(-1) == "?");
}

TEST_CASE("progress without a terminal prints whole lines at tenths and every ten seconds") {
  double now = 100;
  const std::string fast = printed([&](std::FILE* stream) {
    ProgressBar bar(1000, "vqvae", 0, stream, [&] { return now; });
    for (std::uint64_t step = 1; step <= 1000; ++step) {
      now += 0.001;
      bar.update(step, "loss 0.5");
    }
  });
  CHECK(count_of(fast, "\n") == 10);
  CHECK(count_of(fast, "\r") == 0);
  CHECK(fast.find("vqvae 100/1000  10%  1000.0 steps/s  1 s left  loss 0.5") != std::string::npos);
  CHECK(fast.find("vqvae 1000/1000 100%  1000.0 steps/s  in 1 s") != std::string::npos);

  const std::string slow = printed([&](std::FILE* stream) {
    ProgressBar bar(1000, "gpt", 500, stream, [&] { return now; });
    for (std::uint64_t step = 501; step <= 504; ++step) {
      now += 6;
      bar.update(step);
    }
  });
  CHECK(count_of(slow, "\n") == 2);  // after 12 and 24 seconds
  CHECK(slow.find("6.0 s/step  49:48 left") != std::string::npos);

  const std::string unknown = printed([&](std::FILE* stream) {
    ProgressBar bar(0, "clips", 0, stream, [&] { return now; });
    now += 1;
    bar.update(4);
  });
  CHECK(unknown == "clips 4  4.0 steps/s  in 1 s\n");
}

TEST_CASE("a resumed CSV log equals one that was never stopped") {
  const vid2vox::testing::TemporaryFolder folder;
  const auto path = folder.path() / "loss.csv";
  const auto whole = folder.path() / "whole.csv";
  const std::vector<std::string> columns{"split", "loss"};
  {
    CsvLog log(whole, columns);
    for (std::uint64_t step : {10, 20, 30}) log.row(step, "train", 0.1F * static_cast<float>(step));
  }
  {
    CsvLog log(path, columns);
    log.row(10, "train", 0.1F * 10.0F);
    log.row(20, "train", 0.1F * 20.0F);
    log.row(30, "train", -1.0);  // after the checkpoint: will be made again
  }
  std::ofstream(path, std::ios::app) << "40,tra";  // killed while writing
  {
    CsvLog log(path, columns, 20);
    CHECK(log.last_row() == "20,train,2");
    CHECK(log.last_cell() == 2);
    log.row(30, "train", 0.1F * 30.0F);
  }
  CHECK(content(path) == content(whole));
  CHECK(content(path) == "step,split,loss\n10,train,1\n20,train,2\n30,train,3\n");
}

TEST_CASE("a CSV log starts over without a resumed step, and quotes where it must") {
  const vid2vox::testing::TemporaryFolder folder;
  const auto path = folder.path() / "loss.csv";
  { CsvLog(path, {"old"}).row(1, 2); }
  { CsvLog(path, {"name, unit", "value"}).row(1, "a \"b\"", 1.0 / 3.0); }
  CHECK(content(path) == "step,\"name, unit\",value\n1,\"a \"\"b\"\"\",0.3333333333333333\n");
  const std::filesystem::directory_iterator files(folder.path());
  CHECK(std::distance(begin(files), end(files)) == 1);  // without a temporary file
}

TEST_CASE("a CSV log refuses what it cannot go on with") {
  const vid2vox::testing::TemporaryFolder folder;
  const auto path = folder.path() / "loss.csv";
  { CsvLog(path, {"loss"}).row(1, 2); }
  CHECK_THROWS_AS(CsvLog(path, {"other"}, 1), vid2vox::Error);
  CHECK_THROWS_AS(CsvLog(path, {"loss"}, 1).row(2, 3, 4), vid2vox::Error);
  std::ofstream(path, std::ios::app) << "no step\n";
  CHECK_THROWS_AS(CsvLog(path, {"loss"}, 1), vid2vox::Error);
  CHECK_THROWS_AS(CsvLog(folder.path() / "none" / "loss.csv", {"loss"}), vid2vox::Error);
}

TEST_CASE("the first interrupt asks, the second ends the program") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::fclose(stderr);
    close(STDERR_FILENO);
    catch_interrupts();
    if (interrupted()) _exit(1);
    std::raise(SIGINT);
    if (!interrupted()) _exit(2);
    std::raise(SIGTERM);
    _exit(3);  // not reached
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("run_main turns exceptions into exit codes") {
  CHECK(run_main([] {}) == 0);
  CHECK(run_main([] { return 3; }) == 3);
  CHECK(run_main([] { throw vid2vox::Error("is short", "a.npy", "copy it again"); }) == 1);
  CHECK(run_main([] { throw std::bad_alloc(); }) == 1);

  int steps = 0;
  CLI::App app{"test"};
  app.add_option("--steps", steps)->required();
  std::string program = "program";
  std::string option = "--steps=12";
  std::string wrong = "--stepz=12";
  std::array<char*, 2> good_arguments{program.data(), option.data()};
  std::array<char*, 2> bad_arguments{program.data(), wrong.data()};
  CHECK(run_main(app, 2, good_arguments.data(), [&] { return steps; }) == 12);
  CHECK(run_main(app, 2, bad_arguments.data(), [&] { return steps; }) > 100);
}
