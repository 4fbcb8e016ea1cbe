#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>
#include <xtensor/xarray.hpp>

#include "examples/program_runner.hpp"
#include "io/hdf5_writing.hpp"
#include "vid2vox/io/nifti.hpp"
#include "vid2vox/io/npy.hpp"

namespace {

using namespace vid2vox;
using testing::run;
using testing::says;

constexpr std::size_t kVolumes = 40;

std::string in(const testing::TemporaryFolder& folder, const std::string& name) {
  return "'" + (folder.path() / name).string() + "'";
}

nlohmann::json results(const testing::TemporaryFolder& folder, const std::string& run_name) {
  return nlohmann::json::parse(
      testing::contents(folder.path() / "out" / (run_name + ".npy.json")))["results"];
}

std::vector<float> noise(std::size_t count, std::uint64_t seed) {
  RandomStream random(RandomKey{seed});
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(100 + 5 * random.normal());
  return values;
}

/// Four voxels in a row over time; the atlas has them as 2, 2, 7, 0.
void save_scan(const testing::TemporaryFolder& folder) {
  const io::VolumeGrid grid{{4, 1, 1}, {{{{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}}}}};
  std::vector<float> values = noise(4 * kVolumes, 1);
  for (std::size_t t = 0; t < kVolumes; ++t) values[4 * t + 1] = 50;  // a constant voxel
  values[4 * 5 + 2] = NAN;                                            // label 7 lost its only voxel
  io::save_nifti(folder.path() / "sub-01_bold.nii.gz", grid, values, 1.49);
  io::save_nifti(folder.path() / "atlas.nii", grid, std::vector<float>{2, 2, 7, 0});
  io::save_nifti(folder.path() / "mask.nii", grid, std::vector<float>{1, 1, 1, 0});
  std::ofstream table(folder.path() / "confounds.tsv");
  table << "csf\twhite_matter\ttrans_x\n";
  const std::vector<float> confounds = noise(2 * kVolumes, 2);
  for (std::size_t t = 0; t < kVolumes; ++t) {
    table << confounds[2 * t] << '\t' << confounds[2 * t + 1] << "\tn/a\n";
  }
}

TEST_CASE("prepare_bold averages parcels, takes confounds out and names what is missing") {
  const testing::TemporaryFolder folder;
  save_scan(folder);
  const std::string scan = "--bold " + in(folder, "sub-01_bold.nii.gz") + " --out " +
                           in(folder, "out") + " --confounds " + in(folder, "confounds.tsv");
  const auto parcels =
      run("prepare_bold", scan + " --strategy wm_csf --atlas " + in(folder, "atlas.nii"));
  INFO(parcels.output);
  REQUIRE(parcels.code == 0);
  const auto values = io::load_npy<float>(folder.path() / "out" / "sub-01_bold.npy");
  REQUIRE(values.shape(0) == kVolumes);
  REQUIRE(values.shape(1) == 2);
  double square = 0;
  for (std::size_t t = 0; t < kVolumes; ++t) {
    square += std::pow(static_cast<double>(values(t, 0)), 2) / kVolumes;
    CHECK(std::isnan(values(t, 1)));
  }
  CHECK(square == Approx(1));
  const auto found = results(folder, "sub-01_bold");
  CHECK(found["not_finite"] == std::vector<std::string>{"7"});
  CHECK(found["voxels_left_out"]["constant"] == 1);
  CHECK(found["confounds"] == std::vector<std::string>{"csf", "white_matter"});
  CHECK(found["independent_regressors"] == 4);
  CHECK(found["tr_s"].get<double>() == Approx(1.49));
  const auto voxels =
      run("prepare_bold", scan + " --strategy wm_csf --fwhm 4 --mask " + in(folder, "mask.nii"));
  INFO(voxels.output);
  REQUIRE(voxels.code == 0);
  CHECK(results(folder, "sub-01_bold")["not_finite"] == std::vector<std::string>{"2_0_0"});
  const auto missing = run("prepare_bold", scan + " --atlas " + in(folder, "atlas.nii"));
  CHECK(missing.code == 1);
  CHECK(says(missing, "trans_y"));
}

TEST_CASE("prepare_bold reads HDF5 with a group a session or with all runs at the root") {
  const testing::TemporaryFolder folder;
  const std::vector<float> values = noise(3 * kVolumes, 4);
  for (const std::string prefix : {"ses-001/", ""}) {
    {
      testing::Hdf5Maker maker(folder.path() / "bold.h5");
      for (const std::string task : {"task-a_run-1", "task-b_run-2"}) {
        maker.add(prefix + task, {kVolumes, 3}, values, H5T_NATIVE_FLOAT, H5T_IEEE_F64BE);
      }
      maker.add(prefix + "onsets", {3 * kVolumes}, values, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT);
    }
    const std::string name = prefix.empty() ? "" : "ses-001_";
    const auto all =
        run("prepare_bold", "--bold " + in(folder, "bold.h5") + " --high-pass 20 --tr 1.49 --out " +
                                in(folder, "out"));
    INFO(all.output);
    REQUIRE(all.code == 0);
    CHECK(says(all, "onsets is left out"));
    const auto first = io::load_npy<float>(folder.path() / "out" / (name + "task-a_run-1.npy"));
    CHECK(first.shape(1) == 3);
    CHECK(results(folder, name + "task-b_run-2")["independent_regressors"] == 2 + 5);
    std::filesystem::remove_all(folder.path() / "out");
    const auto one =
        run("prepare_bold", "--bold " + in(folder, "bold.h5") +
                                " --dataset task-b --no-zscore --out " + in(folder, "out"));
    CHECK(one.code == 0);
    CHECK_FALSE(std::filesystem::exists(folder.path() / "out" / (name + "task-a_run-1.npy")));
    CHECK(std::filesystem::exists(folder.path() / "out" / (name + "task-b_run-2.npy")));
    std::filesystem::remove_all(folder.path() / "out");
  }
  const auto none = run("prepare_bold", "--bold " + in(folder, "bold.h5") +
                                            " --dataset rest --out " + in(folder, "out"));
  CHECK(none.code == 1);
  CHECK(says(none, "'rest'"));
  const auto period = run("prepare_bold", "--bold " + in(folder, "bold.h5") +
                                              " --high-pass 20 --out " + in(folder, "out"));
  CHECK(period.code == 1);
  CHECK(says(period, "--tr"));
}

TEST_CASE("prepare_bold counts the constant targets of a real recording") {
  const auto bold = testing::real_data("fmri_bars/mask-v1_bold.tsv.gz");
  if (!bold) return;
  const testing::TemporaryFolder folder;
  const auto outcome =
      run("prepare_bold", "--bold '" + bold->string() + "' --out " + in(folder, "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(results(folder, "mask-v1_bold")["constant"].size() == 57);  // as its README says
}

}  // namespace
