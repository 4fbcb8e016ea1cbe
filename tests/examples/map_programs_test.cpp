#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "examples/program_runner.hpp"
#include "vid2vox/io/nifti.hpp"
#include "vid2vox/runtime/sha256.hpp"

namespace {

using namespace vid2vox;
using testing::Path;
using testing::run;
using testing::says;

std::string sha256(const std::string& text) {
  runtime::Sha256 hash;
  hash.add(std::as_bytes(std::span(text.data(), text.size())));
  return hash.digest();
}

TEST_CASE("SHA-256 gives the values of its standard") {
  // FIPS 180-2, appendix B, and the empty message.
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/// An atlas of 27 voxels with the labels 3, 5 and 8, a slab each.
Path save_atlas(const Path& folder) {
  std::vector<float> labels;
  for (const float label : {3.0F, 5.0F, 8.0F}) labels.insert(labels.end(), 9, label);
  const Path path = folder / "atlas.nii.gz";
  io::save_nifti(path, {{3, 3, 3}, {{{{10, 0, 0, -10}, {0, 10, 0, -20}, {0, 0, 10, 5}}}}}, labels);
  return path;
}

std::string in(const testing::TemporaryFolder& folder, const std::string& name) {
  return "'" + (folder.path() / name).string() + "'";
}

TEST_CASE("plot_map draws scores, writes the map in the atlas's space and says what it did") {
  const testing::TemporaryFolder folder;
  save_atlas(folder.path());
  std::ofstream(folder.path() / "scores.csv") << "target,r,r2,alpha,p,q,flag\n"
                                                 "8,0.5,0.2,1,0.01,0.01,ok\n"
                                                 "3,0.3,0.1,1,0.3,0.3,ok\n"
                                                 "5,nan,nan,nan,nan,nan,constant\n";
  const auto outcome =
      run("plot_map", "--scores " + in(folder, "scores.csv") + " --atlas " +
                          in(folder, "atlas.nii.gz") + " --q 0.05 --scale 1 --out " +
                          in(folder, "a.png") + " --save-nifti " + in(folder, "a.nii.gz"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(testing::contents(folder.path() / "a.png").starts_with("\x89PNG"));
  const io::Volume map = io::load_volume(folder.path() / "a.nii.gz");
  CHECK(map.grid.affine.rows[2][3] == 5);
  CHECK(std::isnan(map.values[0]));  // label 3: not significant
  CHECK(std::isnan(map.values[9]));  // label 5: constant
  CHECK(map.values[18] == 0.5F);     // label 8
  const auto sidecar = nlohmann::json::parse(testing::contents(folder.path() / "a.png.json"));
  CHECK(sidecar["program"] == "plot_map");
  CHECK(sidecar["inputs"].size() == 2);
  CHECK(sidecar["inputs"][0]["sha256"] == sha256(testing::contents(folder.path() / "scores.csv")));
  CHECK(sidecar["output"]["sha256"] == sha256(testing::contents(folder.path() / "a.png")));
  CHECK(sidecar["results"]["voxels_shown"] == 9);
  CHECK(sidecar["parameters"]["q"] == 0.05);
  CHECK(sidecar["seed"].is_null());
  CHECK_FALSE(sidecar["commit"].get<std::string>().empty());
}

TEST_CASE("plot_map matches rows without labels by their order, and refuses what does not fit") {
  const testing::TemporaryFolder folder;
  save_atlas(folder.path());
  const auto plot = [&](const std::string& rows, const std::string& more = "") {
    std::ofstream(folder.path() / "scores.csv") << "target,r\n" << rows;
    return run("plot_map", "--scores " + in(folder, "scores.csv") + " --atlas " +
                               in(folder, "atlas.nii.gz") + " --view glass --scale 1 --out " +
                               in(folder, "a.png") + " --save-nifti " + in(folder, "a.nii") + more);
  };
  const auto ordered = plot("0,0.1\n1,0.2\n2,0.4\n");
  INFO(ordered.output);
  REQUIRE(ordered.code == 0);
  CHECK(says(ordered, "row 1 is label 3"));
  CHECK(io::load_volume(folder.path() / "a.nii").values[26] == 0.4F);
  const auto few = plot("0,0.1\n1,0.2\n");
  CHECK(few.code == 1);
  CHECK(says(few, "2 scores for 3 parcels"));
  const auto column = plot("0,0.1\n1,0.2\n2,0.4\n", " --column r2");
  CHECK(column.code == 1);
  CHECK(says(column, "no column 'r2'"));
  const auto surface = plot("0,0.1\n1,0.2\n2,0.4\n", " --save-surface x");
  CHECK(surface.code == 1);
  CHECK(says(surface, "--surface"));
}

TEST_CASE("compare_maps tests pairs of scores and refuses tables of other targets") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder.path() / "a.csv") << "target,r,flag\n1,0.1,ok\n2,0.2,ok\n3,0.3,constant\n";
  std::ofstream(folder.path() / "b.csv") << "target,r,flag\n1,0.2,ok\n2,0.4,ok\n3,0.3,ok\n";
  std::ofstream(folder.path() / "c.csv") << "target,r\n1,0.2\n5,0.4\n3,0.3\n";
  const auto outcome = run("compare_maps", in(folder, "a.csv") + " " + in(folder, "b.csv") +
                                               " --names plain deep --out " + in(folder, "d.png"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(says(outcome, "2 targets, 2 better under deep"));
  const auto sidecar = nlohmann::json::parse(testing::contents(folder.path() / "d.png.json"));
  CHECK(sidecar["results"]["left_out"] == 1);
  CHECK(sidecar["results"]["median_difference"].get<double>() == Approx(0.15).epsilon(1e-6));
  const auto other = run("compare_maps", in(folder, "a.csv") + " " + in(folder, "c.csv") +
                                             " --out " + in(folder, "e.png"));
  CHECK(other.code == 1);
  CHECK(says(other, "other targets"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "e.png"));
}

TEST_CASE("plot_map draws the real atlas on its background and on fsaverage5") {
  const auto atlas = testing::real_data("atlas/MIST_ROI.nii.gz");
  const auto surface = testing::real_data("surface/fsaverage5_pial_left.gii.gz");
  if (!atlas || !surface) return;
  const testing::TemporaryFolder folder;
  const auto outcome =
      run("plot_map", "--map '" + atlas->string() + "' --view surface --scale 1 --surface '" +
                          surface->parent_path().string() + "' --out " + in(folder, "a.png") +
                          " --save-surface " + in(folder, "a"));
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  CHECK(std::filesystem::exists(folder.path() / "a_left.func.gii"));
  CHECK(std::filesystem::exists(folder.path() / "a_right.func.gii.json"));
}

}  // namespace
