#include "vid2vox/io/hdf5_file.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/hdf5_writing.hpp"
#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::Hdf5Dataset;
using vid2vox::io::Hdf5File;
using vid2vox::io::load_hdf5_array;
using vid2vox::testing::Hdf5Maker;
using vid2vox::testing::holds;
using vid2vox::testing::TemporaryFolder;

struct Sample {
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "sample.h5";
  Sample() {
    Hdf5Maker maker(path);
    const std::vector<double> six{0.5, 1, 2, 3, 4, 5};
    maker.add("group/doubles", {2, 3}, six, H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE);
    maker.add("group/deep/big_endian", {3, 2}, six, H5T_NATIVE_DOUBLE, H5T_IEEE_F32BE);
    maker.add<int>("shorts", {2}, {-3, 7}, H5T_NATIVE_INT, H5T_STD_I16LE);
    maker.add<int>("scalar", {}, {5}, H5T_NATIVE_INT, H5T_STD_U8LE);
    maker.add<char>("text", {2}, {'a', 'b'}, H5T_C_S1, H5T_C_S1);
    maker.add_unwritten("huge", {1ULL << 40U, 1ULL << 10U});
    maker.add_unwritten("overflowing", {1ULL << 40U, 1ULL << 20U, 1ULL << 10U});
  }
};

TEST_CASE("HDF5: arrays of any number type arrive as float") {
  const Sample sample;
  CHECK(holds(load_hdf5_array(sample.path, "group/doubles"), {2, 3}, {0.5F, 1, 2, 3, 4, 5}));
  CHECK(
      holds(load_hdf5_array(sample.path, "group/deep/big_endian"), {3, 2}, {0.5F, 1, 2, 3, 4, 5}));
  CHECK(holds(load_hdf5_array(sample.path, "/shorts"), {2}, {-3, 7}));
  CHECK(holds(load_hdf5_array(sample.path, "scalar"), {}, {5}));
}

TEST_CASE("HDF5: what a dataset says of itself, and its rows") {
  const Sample sample;
  const Hdf5File file(sample.path);
  const Hdf5Dataset doubles = file.dataset("group/doubles");
  CHECK(doubles.shape() == std::vector<hsize_t>{2, 3});
  CHECK(doubles.shape_text() == "[2, 3]");
  CHECK(doubles.kind() == Hdf5Dataset::Kind::kFloat);
  CHECK(doubles.item_bytes() == 8);
  std::vector<float> row(3);
  doubles.read_rows<float>(1, 1, row);
  CHECK(row == std::vector<float>{3, 4, 5});
  CHECK_THROWS_WITH(doubles.read_rows<float>(1, 2, row), Contains("group/doubles"));
  CHECK_THROWS_AS(doubles.read_rows<float>(2, 1, row), Error);
  CHECK_FALSE(doubles.is_bytes());
  CHECK(file.dataset("scalar").is_bytes());
  CHECK(file.dataset("shorts").kind() == Hdf5Dataset::Kind::kSigned);
}

TEST_CASE("HDF5: datasets are found by name") {
  const Sample sample;
  const Hdf5File file(sample.path);
  CHECK(file.datasets("big_endian") == std::vector<std::string>{"group/deep/big_endian"});
  CHECK(file.datasets().size() == 7);
  CHECK(file.contains("shorts"));
  CHECK_FALSE(file.contains("longs"));
}

TEST_CASE("HDF5: bad files and datasets are named, and nothing is printed") {
  const Sample sample;
  CHECK_THROWS_WITH(load_hdf5_array(sample.path, "absent"),
                    Contains("sample.h5:absent") && Contains("no such dataset"));
  CHECK_THROWS_AS(load_hdf5_array(sample.path, "group"), Error);
  CHECK_THROWS_WITH(load_hdf5_array(sample.path, "text"), Contains("does not hold numbers"));
  CHECK_THROWS_WITH(load_hdf5_array(sample.path, "huge"), Contains("cannot hold"));
  CHECK_THROWS_WITH(load_hdf5_array(sample.path, "overflowing"), Contains("overflows"));
  CHECK_THROWS_WITH(load_hdf5_array("/absent.h5", "x"), Contains("/absent.h5"));
  const auto bad = sample.folder.path() / "bad.h5";
  std::ofstream(bad) << "no HDF5";
  CHECK_THROWS_WITH(load_hdf5_array(bad, "x"), Contains("bad.h5") && Contains("HDF5 file"));
  std::ifstream stream(sample.path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  std::ofstream(bad, std::ios::binary) << whole.substr(0, whole.size() / 2);
  CHECK_THROWS_WITH(load_hdf5_array(bad, "shorts"), Contains("bad.h5") && Contains("cut short"));
}

}  // namespace
