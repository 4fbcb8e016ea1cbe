#include "vid2vox/io/npy.hpp"

#include <fstream>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::load_npy;
using vid2vox::io::save_npy;
using vid2vox::testing::holds;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;

/// The bytes of an npy file, version 1.0 or 2.0.
std::string npy_bytes(const std::string& header, const std::string& data, char major = 1) {
  std::string bytes = std::string("\x93NUMPY") + major + '\0';
  bytes += static_cast<char>(header.size() % 256);
  bytes += static_cast<char>(header.size() / 256);
  if (major > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
}

class Handmade {
 public:
  std::filesystem::path path() const { return folder_.path() / "x.npy"; }
  std::filesystem::path write(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary) << bytes;
    return path();
  }
  std::filesystem::path write(const std::string& descr, const std::string& shape,
                              const std::string& data, const std::string& fortran = "False") const {
    return write(npy_bytes(
        "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n",
        data));
  }

 private:
  TemporaryFolder folder_;
};

TEST_CASE("npy: every element type arrives as float and double") {
  const Handmade file;
  struct Case {
    std::string descr;
    std::string data;
  };
  using namespace std::string_literals;
  const std::vector<Case> cases = {
      {"|b1", "\x01\x00"s},
      {"|u1", "\x01\x00"s},
      {"|i1", "\x01\x00"s},
      {"<i2", "\x01\x00\x00\x00"s},
      {">i2", "\x00\x01\x00\x00"s},
      {"<u2", "\x01\x00\x00\x00"s},
      {"<i4", "\x01\0\0\0\0\0\0\0"s},
      {"<u4", "\x01\0\0\0\0\0\0\0"s},
      {"<i8", "\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s},
      {"<u8", "\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s},
      {"<f2", "\x00\x3c\0\0"s},
      {"<f4", "\0\0\x80\x3f\0\0\0\0"s},
      {">f4", "\x3f\x80\0\0\0\0\0\0"s},
      {"<f8", "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0"s},
  };
  for (const Case& one : cases) {
    INFO(one.descr);
    const auto path = file.write(one.descr, "(2,)", one.data);
    CHECK(holds(load_npy<float>(path), {2}, {1, 0}));
    CHECK(holds(load_npy<double>(path), {2}, {1, 0}));
  }
  CHECK(load_npy<float>(file.write("|i1", "(1,)", "\xff"))(0) == -1);
  CHECK(load_npy<float>(file.write("|u1", "(1,)", "\xff"))(0) == 255);
}

TEST_CASE("npy: uint8 arrays stay bytes, and nothing else becomes one") {
  const Handmade file;
  const auto bytes = load_npy<std::uint8_t>(file.write("|u1", "(1, 2)", "\xfe\x07"));
  CHECK(holds(bytes, {1, 2}, {254, 7}));
  CHECK_THROWS_WITH(load_npy<std::uint8_t>(file.write("|i1", "(1,)", "1")),
                    Contains("x.npy") && Contains("i1"));
  CHECK_THROWS_AS(load_npy<std::uint8_t>(file.write("<f4", "(1,)", "1234")), Error);
}

TEST_CASE("npy: Fortran order gives the same array") {
  const Handmade file;
  const auto c = load_npy(file.write("|u1", "(2, 3)", std::string("\0\1\2\3\4\5", 6)));
  const auto f = load_npy(file.write("|u1", "(2, 3)", std::string("\0\3\1\4\2\5", 6), "True"));
  CHECK(holds(c, {2, 3}, {0, 1, 2, 3, 4, 5}));
  CHECK(holds(f, {2, 3}, {0, 1, 2, 3, 4, 5}));
  CHECK(f(1, 0) == 3);
  CHECK(f.data()[1] == 1);  // row-major in memory
}

TEST_CASE("npy: keys in any order, versions 2 and 3, scalars, empty arrays") {
  const Handmade file;
  const std::string header = "{\"shape\": (2L,), 'fortran_order': False, 'descr': '|u1'}";
  for (const char major : {'\1', '\2', '\3'}) {
    CHECK(holds(load_npy(file.write(npy_bytes(header, "\x01\x02", major))), {2}, {1, 2}));
  }
  const auto scalar = load_npy(file.write("|u1", "()", "\x05"));
  CHECK(scalar.dimension() == 0);
  CHECK(scalar() == 5);
  CHECK(load_npy(file.write("<f8", "(0, 4)", "")).size() == 0);
}

TEST_CASE("npy: bad files are named with what is wrong") {
  const Handmade file;
  struct Case {
    std::string bytes;
    std::string message;
  };
  const auto make = [](const std::string& header) { return npy_bytes(header, "12345678"); };
  const std::vector<Case> cases = {
      {"", "not an npy file"},
      {"\x93NUMPY\x01", "not an npy file"},
      {std::string(100, 'x'), "not an npy file"},
      {std::string("\x93NUMPY\x09\0\0\0\0\0", 12), "not an npy file"},
      {std::string("\x93NUMPY\x01\0\xff\xff{}", 12), "cut short"},
      {std::string("\x93NUMPY\x02\0\xff\xff\xff\xff{}", 14), "cut short"},
      {make("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "Python objects"},
      {make("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"), "records"},
      {make("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}"), "'<c8'"},
      {make("{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}"), "'<f3'"},
      {make("{'descr': '<U8', 'fortran_order': False, 'shape': (1,)}"), "'<U8'"},
      {make("{'descr': '<f4', 'fortran_order': False}"), "missing"},
      {make("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}"), "unexpected key 'descr'"},
      {make("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}"), "neither True nor False"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "no number"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (1"), "')' expected"},
      {make("{'descr': '<f4"), "string does not end"},
      {make("garbage"), "'{' expected"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"),
       "overflows"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
       "overflows"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0)}"),
       "overflows"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}"),
       "4000000000000 bytes"},
      {make("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"), "truncated"},
  };
  for (const Case& bad : cases) {
    INFO(bad.message);
    CHECK_THROWS_WITH(load_npy(file.write(bad.bytes)), Contains("x.npy") && Contains(bad.message));
  }
  CHECK_THROWS_AS(load_npy("/absent.npy"), Error);
}

TEST_CASE("npy: what is saved is what numpy would save, and loads back") {
  const Handmade file;
  const xt::xarray<float> values{{1, 2, 3}, {4, 5, 6}};
  save_npy(file.path(), values);
  std::ifstream stream(file.path(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  REQUIRE(bytes.size() == 128 + 24);
  CHECK(bytes.substr(0, 10) == std::string("\x93NUMPY\x01\0\x76\0", 10));
  CHECK(bytes.substr(10, header.size()) == header);
  CHECK(bytes[127] == '\n');
  CHECK(holds(load_npy<float>(file.path()), {2, 3}, {1, 2, 3, 4, 5, 6}));
  save_npy(file.path(), xt::transpose(values));  // an expression that is not row-major
  CHECK(holds(load_npy<float>(file.path()), {3, 2}, {1, 4, 2, 5, 3, 6}));
  const xt::xtensor<double, 1> pair{0.1, 0.2};
  save_npy(file.path(), pair);
  CHECK(holds(load_npy<double>(file.path()), {2}, {0.1, 0.2}));
  const xt::xtensor<std::uint8_t, 2> column{{1}, {2}};
  save_npy(file.path(), column);
  CHECK(holds(load_npy<std::uint8_t>(file.path()), {2, 1}, {1, 2}));
  xt::xtensor<bool, 1> flags{true, false};
  save_npy(file.path(), flags);
  CHECK(holds(load_npy<std::uint8_t>(file.path()), {2}, {1, 0}));
  CHECK_THROWS_AS(save_npy("/absent/x.npy", values), Error);
}

TEST_CASE("npy: the recorded key presses") {
  const auto path = real_data("game_video/nova_rep-01_actions.npy");
  if (!path) return;
  const auto actions = load_npy<std::uint8_t>(*path);
  CHECK(actions.size() == 2700);  // eight buttons packed into one byte a frame
}

}  // namespace
