#include "vid2vox/io/events.hpp"

#include <cmath>
#include <fstream>
#include <string>

#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::load_events;
using vid2vox::testing::TemporaryFolder;

struct Files {
  TemporaryFolder folder;
  std::filesystem::path write(const std::string& text) const {
    std::ofstream(folder.path() / "run_events.tsv") << text;
    return folder.path() / "run_events.tsv";
  }
};

TEST_CASE("events: videos and skipped rows") {
  const Files files;
  const auto events =
      load_events(files.write("onset\tduration\ttrial_type\tstim_file\n"
                              "3.5\t60\tgame\tsub-01/rep-01.mp4\n"
                              "n/a\tn/a\tbutton\t\n"
                              "70\t50\tgame\tMissing file\n"
                              "130\tn/a\tgame\trep-02.mp4\n"
                              "200\t1\tgame\tn/a\n"));
  REQUIRE(events.events.size() == 2);
  CHECK(events.events[0].onset_s == 3.5);
  CHECK(events.events[0].duration_s == 60);
  CHECK(events.events[0].stim_file == "sub-01/rep-01.mp4");
  CHECK(events.events[0].row == 2);
  CHECK(events.events[1].row == 5);
  CHECK(std::isnan(events.events[1].duration_s));
  REQUIRE(events.skipped.size() == 3);
  CHECK(events.skipped[0].row == 3);
  CHECK(events.skipped[0].reason == "stim_file is blank");
  CHECK(events.skipped[1].row == 4);
  CHECK(events.skipped[1].reason == "stim_file is 'Missing file'");
  CHECK(events.skipped[2].row == 6);
}

TEST_CASE("events: bad files are named") {
  const Files files;
  const auto load = [&](const std::string& text) { return load_events(files.write(text)); };
  CHECK_THROWS_WITH(load("onset\tduration\n1\t2\n"),
                    Contains("run_events.tsv") && Contains("'stim_file'"));
  CHECK_THROWS_WITH(load("onset\tduration\tstim_file\nsoon\t2\ta.mp4\n"),
                    Contains("row 2") && Contains("onset 'soon'"));
  CHECK_THROWS_WITH(load("onset\tduration\tstim_file\nn/a\t2\ta.mp4\n"), Contains("onset 'n/a'"));
  CHECK_THROWS_WITH(load("onset\tduration\tstim_file\n1\t-2\ta.mp4\n"), Contains("duration '-2'"));
  CHECK_THROWS_WITH(load("onset\tduration\tstim_file\n1\t2\n"), Contains("row 2"));
  CHECK_THROWS_AS(load_events("/absent_events.tsv"), Error);
}

}  // namespace
