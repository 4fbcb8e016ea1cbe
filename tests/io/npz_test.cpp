#include "vid2vox/io/npz.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "io/zip_writing.hpp"
#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::load_npz;
using vid2vox::io::NpzFile;
using vid2vox::io::save_npy;
using vid2vox::testing::holds;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;
using vid2vox::testing::write_zip;

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Sample {
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "sample.npz";
  std::string floats;
  std::string bytes;
  Sample() {
    const xt::xtensor<float, 2> a{{1, 2}, {3, 4.5F}};
    const xt::xtensor<std::uint8_t, 1> b{7, 255};
    save_npy(folder.path() / "a.npy", a);
    save_npy(folder.path() / "b.npy", b);
    floats = contents(folder.path() / "a.npy");
    bytes = contents(folder.path() / "b.npy");
  }
};

TEST_CASE("npz: arrays by name, stored and compressed") {
  const Sample sample;
  for (const bool compressed : {false, true}) {
    write_zip(sample.path, {{"a.npy", sample.floats}, {"b.npy", sample.bytes}}, compressed);
    const NpzFile file(sample.path);
    CHECK(file.names() == std::vector<std::string>{"a", "b"});
    CHECK(holds(file.read<float>("a"), {2, 2}, {1, 2, 3, 4.5F}));
    CHECK(holds(file.read<std::uint8_t>("b.npy"), {2}, {7, 255}));
    CHECK_THROWS_WITH(file.read<float>(), Contains("several arrays") && Contains("a, b"));
    CHECK_THROWS_WITH(file.read<float>("c"), Contains("sample.npz") && Contains("'c'"));
    CHECK_THROWS_WITH(file.read<std::uint8_t>("a"), Contains("sample.npz:a"));
  }
}

TEST_CASE("npz: the only array needs no name") {
  const Sample sample;
  write_zip(sample.path, {{"readme.txt", "hello"}, {"a.npy", sample.floats}}, true);
  CHECK(holds(load_npz<double>(sample.path), {2, 2}, {1, 2, 3, 4.5}));
}

TEST_CASE("npz: damaged archives are named") {
  const Sample sample;
  write_zip(sample.path, {{"a.npy", sample.floats.substr(0, 130)}}, true);
  CHECK_THROWS_WITH(load_npz(sample.path), Contains("sample.npz:a") && Contains("truncated"));
  write_zip(sample.path, {{"readme.txt", "hello"}}, true);
  CHECK_THROWS_WITH(load_npz(sample.path), Contains("no arrays"));
  write_zip(sample.path, {{"a.npy", sample.floats}}, false);
  const std::string whole = contents(sample.path);
  const auto write = [&](const std::string& content) {
    std::ofstream(sample.path, std::ios::binary) << content;
  };
  for (const double part : {0.0, 0.2, 0.5, 0.9}) {
    write(whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
    CHECK_THROWS_WITH(load_npz(sample.path), Contains("sample.npz"));
  }
  std::string flipped = whole;
  flipped[whole.find("\x93NUMPY") + 130] ^= 1;  // in the values: only the checksum tells
  write(flipped);
  CHECK_THROWS_WITH(load_npz(sample.path), Contains("sample.npz:a") && Contains("cannot unpack"));
  CHECK_THROWS_AS(load_npz("/absent.npz"), Error);
}

TEST_CASE("npz: an entry that claims an impossible size") {
  const Sample sample;
  write_zip(sample.path, {{"a.npy", sample.floats}}, true);
  std::string bytes = contents(sample.path);
  // The central directory's uncompressed size, 24 bytes into its record (PKWARE's APPNOTE 4.3.12).
  const std::size_t at = bytes.find("PK\x01\x02") + 24;
  bytes.replace(at, 4, std::string("\xf0\xff\xff\xff", 4));
  std::ofstream(sample.path, std::ios::binary) << bytes;
  CHECK_THROWS_WITH(load_npz(sample.path), Contains("sample.npz"));
}

TEST_CASE("npz: the recorded stimulus") {
  const auto path = real_data("fmri_bars/dm_gazecenter.npz");
  if (!path) return;
  const auto stimulus = load_npz<float>(*path);
  REQUIRE(stimulus.size() == 150 * 80 * 45);
  CHECK(stimulus.shape(0) == 150);
  CHECK(*std::min_element(stimulus.begin(), stimulus.end()) == 0);
  CHECK(*std::max_element(stimulus.begin(), stimulus.end()) == 9);
}

}  // namespace
