#include "vid2vox/io/nifti.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::io;
using Catch::Matchers::Contains;

/// Bytes of a NIfTI file, written field by field after the standards, so that the reader is not
/// tested with the writer of the same library.
struct Recipe {
  bool second = false;  // NIfTI-2
  bool reversed = false;
  std::string magic = "n+";
  std::vector<std::int64_t> dim = {4, 3, 2, 2, 2, 1, 1, 1};
  int datatype = NIFTI_TYPE_INT16;
  int bits = 16;
  double slope = 0;
  double intercept = 0;
  int sform = 1;
  int qform = 0;
  double dt = 1490;
  int units = NIFTI_UNITS_MM | NIFTI_UNITS_MSEC;

  std::vector<char> bytes;
  template <class T>
  void put(std::size_t at, T value) {
    std::array<char, sizeof(T)> raw{};
    std::memcpy(raw.data(), &value, sizeof(T));
    if (reversed) std::reverse(raw.begin(), raw.end());
    if (bytes.size() < at + sizeof(T)) bytes.resize(at + sizeof(T), 0);
    std::copy(raw.begin(), raw.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  /// A number where NIfTI-1 has a float and NIfTI-2 a double.
  void real(std::size_t first, std::size_t later, double value) {
    if (second) {
      put<double>(later, value);
    } else {
      put<float>(first, static_cast<float>(value));
    }
  }
  void integer(std::size_t first, std::size_t later, int value) {
    if (second) {
      put<std::int32_t>(later, value);
    } else {
      put<std::int16_t>(first, static_cast<std::int16_t>(value));
    }
  }

  std::size_t begin() const { return magic == "ni" ? 0 : (second ? 544 : 352); }

  Recipe& header() {
    put<std::int32_t>(0, second ? 540 : 348);
    for (std::size_t i = 0; i < 8; ++i) {
      if (second) {
        put<std::int64_t>(16 + 8 * i, dim[i]);
      } else {
        put<std::int16_t>(40 + 2 * i, static_cast<std::int16_t>(dim[i]));
      }
    }
    put<std::int16_t>(second ? 12 : 70, static_cast<std::int16_t>(datatype));
    put<std::int16_t>(second ? 14 : 72, static_cast<std::int16_t>(bits));
    const double sides[] = {1, 2, 2.5, 3, dt, 0, 0, 0};
    for (std::size_t i = 0; i < 8; ++i) real(76 + 4 * i, 104 + 8 * i, sides[i]);
    if (second) {
      put<std::int64_t>(168, static_cast<std::int64_t>(begin()));
      put<std::int32_t>(500, units);
    } else {
      put<float>(108, static_cast<float>(begin()));
      put<char>(123, static_cast<char>(units));
    }
    real(112, 176, slope);
    real(116, 184, intercept);
    integer(252, 344, qform);
    integer(254, 348, sform);
    real(264, 376, 1);  // quatern_d 1: half a turn around z
    real(268, 376 + 8, 11);
    real(272, 376 + 16, 12);
    real(276, 376 + 24, 13);
    const double rows[] = {-2, 0, 0, 20, 0, 2.5, 0.5, -30, 0, 0, 3, -40};
    for (std::size_t i = 0; i < 12; ++i) real(280 + 4 * i, 400 + 8 * i, rows[i]);
    const std::string full = magic + (second ? "2" : "1");
    for (std::size_t i = 0; i < 3; ++i) put<char>((second ? 4 : 344) + i, full[i]);
    if (second) {  // the rest of the magic: CR LF 0x1A LF
      const char rest[] = {0, 13, 10, 26, 10};
      for (std::size_t i = 0; i < 5; ++i) put<char>(7 + i, rest[i]);
    }
    bytes.resize(second ? 540 : 348, 0);
    return *this;
  }

  template <class T>
  Recipe& values(const std::vector<double>& all) {
    bytes.resize(std::max(bytes.size(), begin()), 0);
    for (const double value : all) put<T>(bytes.size(), static_cast<T>(value));
    return *this;
  }

  void save(const std::filesystem::path& path) const {
    const bool packed = path.extension() == ".gz";
    internal::Znz file(znzopen(path.c_str(), "wb", packed ? 1 : 0));
    REQUIRE(file);
    REQUIRE(znzwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size());
  }
};

std::vector<double> count_up(std::size_t n = 24) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<double>(i) - 5;
  return values;
}

template <class T>
void check_type(Recipe recipe, int datatype, const std::filesystem::path& path) {
  recipe.datatype = datatype;
  recipe.bits = 8 * sizeof(T);
  std::vector<double> values = count_up();
  if (!std::is_signed_v<T>) {
    for (double& value : values) value += 5;
  }
  recipe.header().values<T>(values).save(path);
  NiftiFile file(path);
  REQUIRE(file.volumes() == 2);
  for (std::size_t t = 2; t-- > 0;) {  // backwards: seeking works too
    const std::vector<float> volume = file.read(t);
    for (std::size_t i = 0; i < 12; ++i) {
      const double scaled = recipe.slope == 0
                                ? values[12 * t + i]
                                : values[12 * t + i] * recipe.slope + recipe.intercept;
      CHECK(volume[i] == static_cast<float>(scaled));
    }
  }
}

TEST_CASE("NIfTI-1 and -2 of either byte order are read, whatever their type") {
  const testing::TemporaryFolder folder;
  for (const bool second : {false, true}) {
    for (const bool reversed : {false, true}) {
      for (const char* name : {"a.nii", "a.nii.gz"}) {
        INFO("NIfTI-" << (second ? 2 : 1) << (reversed ? " reversed " : " ") << name);
        Recipe recipe;
        recipe.second = second;
        recipe.reversed = reversed;
        const auto path = folder.path() / name;
        check_type<std::int16_t>(recipe, NIFTI_TYPE_INT16, path);
        recipe.slope = 0.25;
        recipe.intercept = 100;
        check_type<std::uint8_t>(recipe, NIFTI_TYPE_UINT8, path);
        check_type<std::int8_t>(recipe, NIFTI_TYPE_INT8, path);
        check_type<std::uint16_t>(recipe, NIFTI_TYPE_UINT16, path);
        check_type<std::int32_t>(recipe, NIFTI_TYPE_INT32, path);
        check_type<std::uint32_t>(recipe, NIFTI_TYPE_UINT32, path);
        check_type<std::int64_t>(recipe, NIFTI_TYPE_INT64, path);
        check_type<std::uint64_t>(recipe, NIFTI_TYPE_UINT64, path);
        check_type<float>(recipe, NIFTI_TYPE_FLOAT32, path);
        check_type<double>(recipe, NIFTI_TYPE_FLOAT64, path);
      }
    }
  }
}

TEST_CASE("shape, affine and repetition time come from the header") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "a.nii";
  for (const bool second : {false, true}) {
    for (const bool reversed : {false, true}) {
      Recipe recipe;
      recipe.second = second;
      recipe.reversed = reversed;
      recipe.header().values<std::int16_t>(count_up()).save(path);
      const NiftiFile file(path);
      CHECK(file.grid().shape == std::array<std::size_t, 3>{3, 2, 2});
      CHECK(file.tr_s() == Approx(1.49));
      CHECK(file.affine_source() == "sform");
      CHECK(file.grid().affine({1, 1, 1}) == Point3{18, -27, -37});
      CHECK(file.type() == "INT16");
    }
  }
  Recipe placed;
  placed.sform = 0;
  placed.qform = 1;
  placed.header().values<std::int16_t>(count_up()).save(path);
  NiftiFile turned(path);
  CHECK(turned.affine_source() == "qform");
  const Point3 corner = turned.grid().affine({1, 1, 1});
  CHECK(corner[0] == Approx(11 - 2));
  CHECK(corner[1] == Approx(12 - 2.5));
  CHECK(corner[2] == Approx(13 + 3));
  Recipe unplaced;
  unplaced.sform = 0;
  unplaced.dim = {3, 3, 2, 2, 1, 1, 1, 1};
  unplaced.header().values<std::int16_t>(count_up(12)).save(path);
  NiftiFile plain(path);
  CHECK(plain.affine_source() == "voxel sizes");
  CHECK(plain.grid().affine({1, 1, 1}) == Point3{2, 2.5, 3});
  CHECK(plain.tr_s() == 0);
}

TEST_CASE("a header may have its values in a file of its own") {
  const testing::TemporaryFolder folder;
  Recipe header;
  header.magic = "ni";
  header.header().save(folder.path() / "a.hdr");
  Recipe values;
  values.magic = "ni";
  values.values<std::int16_t>(count_up()).save(folder.path() / "a.img");
  CHECK(NiftiFile(folder.path() / "a.hdr").read(1)[0] == 7);
  std::filesystem::remove(folder.path() / "a.img");
  CHECK_THROWS_WITH(NiftiFile(folder.path() / "a.hdr"), Contains("a.img"));
}

void check_refused(Recipe recipe, const std::string& words, bool with_values = true) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "bad.nii";
  recipe.header();
  if (with_values) recipe.values<std::int16_t>(count_up());
  recipe.save(path);
  INFO(words);
  try {
    NiftiFile file(path);
    FAIL_CHECK("was accepted");
  } catch (const Error& error) {
    CHECK_THAT(error.what(), Contains(words));
    CHECK_THAT(error.where(), Contains("bad.nii"));
    CHECK_FALSE(error.action().empty());
  }
}

TEST_CASE("inconsistent headers are refused with a reason, and nothing is allocated by them") {
  Recipe recipe;
  recipe.dim[0] = 9;
  check_refused(recipe, "9 dimensions");
  recipe = {};
  recipe.dim[2] = 0;
  check_refused(recipe, "dimension 2 is 0");
  recipe = {};
  recipe.dim[3] = -4;
  check_refused(recipe, "dimension 3 is -4");
  recipe = {};
  recipe.dim = {5, 3, 2, 2, 1, 2, 1, 1};
  check_refused(recipe, "5 dimensions");
  recipe = {};
  recipe.dim = {4, 32767, 32767, 32767, 32767, 1, 1, 1};
  check_refused(recipe, "more than the file has");
  recipe = {};
  recipe.second = true;
  recipe.dim = {4, std::int64_t{1} << 40, std::int64_t{1} << 40, 1, 1, 1, 1, 1};
  check_refused(recipe, "");  // the product overflows
  recipe = {};
  recipe.datatype = NIFTI_TYPE_RGB24;
  recipe.bits = 24;
  check_refused(recipe, "RGB24");
  recipe = {};
  recipe.datatype = 999;
  check_refused(recipe, "");
  recipe = {};
  recipe.magic = "xx";
  check_refused(recipe, "no NIfTI magic");
  check_refused({}, "more than the file has", false);
}

TEST_CASE("files that are cut short or are none are refused") {
  const testing::TemporaryFolder folder;
  Recipe recipe;
  recipe.header().values<std::int16_t>(count_up());
  const auto path = folder.path() / "a.nii";
  for (const std::size_t length : {std::size_t{0}, std::size_t{3}, std::size_t{347}}) {
    Recipe cut = recipe;
    cut.bytes.resize(length);
    std::ofstream(path, std::ios::binary)
        .write(cut.bytes.data(), static_cast<std::streamsize>(length));
    CHECK_THROWS_WITH(NiftiFile(path), Contains("a.nii"));
  }
  // Of a compressed file the end is met while reading.
  const auto packed = folder.path() / "b.nii.gz";
  recipe.bytes.pop_back();
  recipe.save(packed);
  NiftiFile file(packed);
  CHECK(file.read(0)[0] == -5);
  CHECK_THROWS_WITH(file.read(1), Contains("cut short"));
  CHECK_THROWS_WITH(file.read(2), Contains("volume 2 of 2"));
  std::filesystem::resize_file(packed, std::filesystem::file_size(packed) / 2);
  CHECK_THROWS_AS(NiftiFile(packed).read(1), Error);
  CHECK_THROWS_WITH(NiftiFile(folder.path() / "none.nii"), Contains("No such file"));
  std::ofstream(path) << std::string(1000, 'x');
  CHECK_THROWS_WITH(NiftiFile(path), Contains("not a NIfTI file"));
}

TEST_CASE("what is saved is read again, NaN included") {
  const testing::TemporaryFolder folder;
  VolumeGrid grid;
  grid.shape = {5, 3, 2};
  grid.affine.rows = {{{-3, 0, 0, 78}, {0, 3, 0.25, -112}, {0, 0.5, 2, -70}}};
  std::vector<float> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.1F * static_cast<float>(i);
  values[7] = NAN;
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    const auto path = folder.path() / name;
    save_nifti(path, grid, values, 1.49);
    NiftiFile file(path);
    CHECK(same_grid(file.grid(), grid));
    CHECK(file.volumes() == 2);
    CHECK(file.tr_s() == Approx(1.49));
    CHECK_THROWS_WITH(load_volume(path), Contains("2 volumes"));
    save_nifti(path, grid, std::span(values).first(30));
    const Volume again = load_volume(path);
    CHECK(std::isnan(again.values[7]));
    for (std::size_t i = 0; i < 30; ++i) {
      if (i != 7) CHECK(again.values[i] == values[i]);
    }
  }
  CHECK(internal::is_gzip(RandomAccessFile(folder.path() / "a.nii.gz")));
  CHECK_FALSE(internal::is_gzip(RandomAccessFile(folder.path() / "a.nii")));
}

TEST_CASE("a map that cannot be written leaves nothing behind") {
  const testing::TemporaryFolder folder;
  const VolumeGrid grid{{2, 2, 2}, {}};
  const std::vector<float> values(8, 1.0F);
  CHECK_THROWS_WITH(save_nifti(folder.path() / "a.img", grid, values), Contains(".nii"));
  CHECK_THROWS_AS(save_nifti(folder.path() / "a.nii", grid, std::span(values).first(7)), Error);
  CHECK_THROWS_AS(save_nifti(folder.path() / "a.nii", grid, {}), Error);
  CHECK_THROWS_WITH(save_nifti(folder.path() / "no" / "a.nii", grid, values),
                    Contains("cannot write"));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("real NIfTI files of two versions are read") {
  const auto functional = testing::real_data("atlas/nibabel_functional.nii");
  const auto second = testing::real_data("atlas/nibabel_example_nifti2.nii.gz");
  if (!functional || !second) return;
  NiftiFile scaled(*functional);
  CHECK(scaled.volumes() == 20);
  CHECK(scaled.tr_s() == 2);
  double sum = 0;
  const std::vector<float> last = scaled.read(19);
  for (const float value : last) sum += static_cast<double>(value);
  // By numpy from the file's bytes: mean of int16 * float32 slope + intercept.
  CHECK(sum / static_cast<double>(last.size()) == Approx(3630.3195827106356).epsilon(1e-8));
  NiftiFile newer(*second);
  CHECK(newer.grid().shape == std::array<std::size_t, 3>{32, 20, 12});
  CHECK(newer.volumes() == 2);
}

}  // namespace
