#include "vid2vox/io/time_series.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/hdf5_writing.hpp"
#include "io/zip_writing.hpp"
#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::load_time_series;
using vid2vox::io::save_npy;
using vid2vox::io::TimeSeries;
using vid2vox::testing::Hdf5Maker;
using vid2vox::testing::holds;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;
using vid2vox::testing::write_gzip;
using vid2vox::testing::write_zip;

struct Files {
  TemporaryFolder folder;
  xt::xtensor<double, 3> cube{{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}, {{9, 10}, {11, 12}}};
  std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  std::string contents(const std::string& name) const {
    std::ifstream stream(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
};

void check_cube(const TimeSeries& series) {
  CHECK(holds(series.values, {3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  CHECK(series.names == std::vector<std::string>{"0", "1", "2", "3"});
}

TEST_CASE("time series: arrays, first axis time, the rest flattened") {
  const Files files;
  save_npy(files.path("a.npy"), files.cube);
  check_cube(load_time_series(files.path("a.npy")));
  write_zip(files.path("one.npz"), {{"a.npy", files.contents("a.npy")}}, true);
  check_cube(load_time_series(files.path("one.npz")));
  write_zip(files.path("two.NPZ"),
            {{"b.npy", files.contents("a.npy")}, {"a.npy", files.contents("a.npy")}}, true);
  check_cube(load_time_series(files.path("two.NPZ"), "a"));
  check_cube(load_time_series(files.path("two.NPZ:b")));
  CHECK_THROWS_WITH(load_time_series(files.path("two.NPZ")), Contains("b, a"));
  {
    Hdf5Maker maker(files.path("a.h5"));
    const std::vector<double> values(files.cube.begin(), files.cube.end());
    maker.add("group/cube", {3, 2, 2}, values, H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE);
  }
  check_cube(load_time_series(files.path("a.h5")));
  check_cube(load_time_series(files.path("a.h5:group/cube")));
  check_cube(load_time_series(files.path("a.h5"), "group/cube"));
  CHECK_THROWS_WITH(load_time_series(files.path("a.h5:cube")), Contains("a.h5:cube"));
}

TEST_CASE("time series: a list is one column") {
  const Files files;
  const xt::xtensor<float, 1> list{1, 2, 3};
  save_npy(files.path("list.npy"), list);
  const auto series = load_time_series(files.path("list.npy"));
  CHECK(holds(series.values, {3, 1}, {1, 2, 3}));
  CHECK(holds(xt::eval(series.values + series.values), {3, 1}, {2, 4, 6}));
}

TEST_CASE("time series: in tables, times are no series") {
  const Files files;
  const auto load = [&](const std::string& text) {
    std::ofstream(files.path("t.tsv")) << text;
    return load_time_series(files.path("t.tsv"));
  };
  const auto named = load("a\tTime\tb\n1\t0\tn/a\n2\t1.49\t4\n");
  CHECK(named.names == std::vector<std::string>{"a", "b"});
  CHECK(named.values(0, 0) == 1);
  CHECK(std::isnan(named.values(0, 1)));
  CHECK(named.values(1, 1) == 4);
  CHECK(load("\ta\n0\t5\n").names == std::vector<std::string>{"a"});
  CHECK(load("Unnamed: 0\ta\n0\t5\n").names == std::vector<std::string>{"a"});
  CHECK(load("a\t\n0\t5\n").names == std::vector<std::string>{"a", ""});
  CHECK(load("times\ta\n0\t5\n").names == std::vector<std::string>{"times", "a"});
  CHECK_THROWS_WITH(load("time\n0\n"), Contains("no columns"));
  CHECK_THROWS_WITH(load("a\tb\n"), Contains("no rows"));
}

TEST_CASE("time series: what cannot be one") {
  const Files files;
  save_npy(files.path("scalar.npy"), xt::xtensor<float, 0>{3.0F});
  CHECK_THROWS_WITH(load_time_series(files.path("scalar.npy")), Contains("scalar.npy"));
  CHECK_THROWS_WITH(load_time_series(files.path("a.wav")), Contains("a.wav"));
  CHECK_THROWS_AS(load_time_series(files.path("absent.npy")), Error);
  {
    Hdf5Maker maker(files.path("two.h5"));
    maker.add<float>("x", {2}, {1, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT);
    maker.add<float>("y", {2}, {1, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT);
  }
  CHECK_THROWS_WITH(load_time_series(files.path("two.h5")), Contains("x, y"));
}

TEST_CASE("time series: the recorded scan and its stimulus") {
  const auto bold = real_data("fmri_bars/mask-v1_bold.tsv.gz");
  if (!bold) return;
  const auto series = load_time_series(bold->string());
  REQUIRE(series.values.shape(0) == 150);
  REQUIRE(series.values.shape(1) == 2365);
  CHECK(series.names.front() == "0");
  CHECK(series.values(0, 0) == -0.7982142F);
  const auto stimulus = real_data("fmri_bars/dm_gazecenter.npz");
  if (!stimulus) return;
  const auto pixels = load_time_series(stimulus->string());
  CHECK(pixels.values.shape(0) == 150);
  CHECK(pixels.values.shape(1) == 80 * 45);
}

}  // namespace
