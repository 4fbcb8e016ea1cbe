#include "vid2vox/io/table.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/zip_writing.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::load_table;
using vid2vox::io::Table;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;
using vid2vox::testing::write_gzip;

class Files {
 public:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
    return folder_.path() / name;
  }
  std::filesystem::path gzip(const std::string& name, const std::string& text) const {
    write_gzip(folder_.path() / name, text);
    return folder_.path() / name;
  }

 private:
  TemporaryFolder folder_;
};

void check_sample(const Table& table) {
  CHECK(table.names == std::vector<std::string>{"a", "b c"});
  REQUIRE(table.values.shape(0) == 2);
  CHECK(table.values(0, 0) == 1.5);
  CHECK(table.values(0, 1) == -2e-3);
  CHECK(table.values(1, 0) == 3);
  CHECK(table.values(1, 1) == 0.1);
}

TEST_CASE("table: tabs or commas, packed or not, any line ends") {
  const Files files;
  const std::string tabs = "a\tb c\n1.5\t-2e-3\n+3\t 0.1 \n";
  check_sample(load_table(files.write("t.tsv", tabs)));
  check_sample(load_table(files.gzip("t.tsv.gz", tabs)));
  check_sample(load_table(files.write("t.tsv", "a\tb c\r\n1.5\t-2e-3\r\n3\t0.1")));
  check_sample(load_table(files.write("t.tsv", "\xEF\xBB\xBF" + tabs + "\n\n")));
  check_sample(load_table(files.write("t.csv", "\"a\",\"b c\"\n1.5,-2e-3\n\"3\",0.1\n")));
  check_sample(load_table(files.gzip("t.csv.gz", "a,b c\n1.5,-2e-3\n3,0.1\n")));
}

TEST_CASE("table: missing values are NaN") {
  const Files files;
  const Table table = load_table(files.write("t.csv", "a,b,c,d,e\nn/a,NaN,,NA,7\n"));
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::isnan(table.values(0, i)));
  CHECK(table.values(0, 4) == 7);
}

TEST_CASE("table: lines longer than the buffer") {
  const Files files;
  std::string header;
  std::string row;
  for (int i = 0; i < 30000; ++i) {
    if (i > 0) {
      header += '\t';
      row += '\t';
    }
    header += std::to_string(i);
    row += std::to_string(i) + ".25";
  }
  const Table table = load_table(files.gzip("t.tsv.gz", header + "\n" + row + "\n" + row + "\n"));
  REQUIRE(table.values.shape(0) == 2);
  REQUIRE(table.values.shape(1) == 30000);
  CHECK(table.values(1, 29999) == 29999.25);
}

TEST_CASE("table: bad rows are named") {
  const Files files;
  struct Case {
    std::string text;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "the table is empty"},
      {"a,b\n1,2\n3\n", "row 3: 1 fields under a header of 2"},
      {"a,b\n1,2,3\n", "row 2: 3 fields"},
      {"a,b\n1,2\n\n3,4\n", "row 3: an empty line"},
      {"a,b\n1,x\n", "row 2: 'x' in column 'b' is no number"},
      {"a,b\n1,2 3\n", "'2 3'"},
      {"a,b\n1,1e\n", "'1e'"},
      {"a,b\n1,+-2\n", "'+-2'"},
      {"a,b\n1,\"2\n", "quoted field does not end"},
      {"0.5,1\n1,2\n", "row 1: the first row holds the number 0.5"},
      {std::string("a,b\n1,2\0,\n", 10), "row 2"},
  };
  for (const Case& bad : cases) {
    INFO(bad.message);
    CHECK_THROWS_WITH(load_table(files.write("bad.csv", bad.text)),
                      Contains("bad.csv") && Contains(bad.message));
  }
  CHECK_THROWS_WITH(load_table(files.write("t.txt", "a\n1\n")), Contains("t.txt"));
  CHECK_THROWS_AS(load_table("/absent.tsv"), Error);
  CHECK(load_table(files.write("t.csv", "a,b\n")).values.shape(0) == 0);
}

TEST_CASE("table: a packed file that is cut short or damaged is refused") {
  const Files files;
  std::string text = "a\n";
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * 7919 % 5000) + "\n";
  const auto path = files.gzip("t.tsv.gz", text);
  CHECK(load_table(path).values.shape(0) == 5000);
  std::ifstream stream(path, std::ios::binary);
  std::string whole{std::istreambuf_iterator<char>(stream), {}};
  for (const double part : {0.3, 0.9, 0.999}) {
    const auto length = static_cast<std::size_t>(part * static_cast<double>(whole.size()));
    CHECK_THROWS_WITH(load_table(files.write("cut.tsv.gz", whole.substr(0, length))),
                      Contains("cut.tsv.gz"));
  }
  whole[whole.size() - 6] ^= 1;  // the checksum
  CHECK_THROWS_WITH(load_table(files.write("bad.tsv.gz", whole)), Contains("cannot unpack"));
}

TEST_CASE("table: the receptive fields that come with the recorded scan") {
  const auto path = real_data("fmri_bars/gauss_parameters.tsv");
  if (!path) return;
  const Table table = load_table(*path);
  CHECK(table.names ==
        std::vector<std::string>{"source", "x", "y", "sd", "baseline", "amplitude", "r2"});
  CHECK(table.values.shape(0) > 2000);
  CHECK(table.values(0, 1) == 4.5158114);
}

}  // namespace
