#include "vid2vox/io/gifti.hpp"

#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::io;
using Catch::Matchers::Contains;

std::string data_array(const std::string& intent, const std::string& type,
                       const std::string& extents, const std::string& encoding,
                       const std::string& data, const std::string& endian = "LittleEndian") {
  return "<DataArray Intent=\"" + intent + "\" DataType=\"" + type +
         "\" ArrayIndexingOrder=\"RowMajorOrder\" " + extents + " Encoding=\"" + encoding +
         "\" Endian=\"" + endian + "\"><Data>" + data + "</Data></DataArray>";
}

const std::string kPoints =
    data_array("NIFTI_INTENT_POINTSET", "NIFTI_TYPE_FLOAT32",
               "Dimensionality=\"2\" Dim0=\"3\" Dim1=\"3\"", "ASCII", "0 0 0\n1 0 0\n0 1.5 -2e1\n");
// int32 0 1 2, big-endian.
const std::string kTriangle = data_array("NIFTI_INTENT_TRIANGLE", "NIFTI_TYPE_INT32",
                                         "Dimensionality=\"2\" Dim0=\"1\" Dim1=\"3\"",
                                         "Base64Binary", "AAAAAAAAAAEA\nAAAC", "BigEndian");

std::filesystem::path save(const testing::TemporaryFolder& folder, const std::string& arrays) {
  const auto path = folder.path() / "a.gii";
  std::ofstream(path) << "<?xml version=\"1.0\"?>\n<GIFTI Version=\"1.0\">" << arrays << "</GIFTI>";
  return path;
}

TEST_CASE("a mesh is read from text and from binary of either byte order") {
  const testing::TemporaryFolder folder;
  const Mesh mesh = load_mesh(save(folder, kPoints + kTriangle));
  REQUIRE(mesh.vertices.size() == 3);
  CHECK(mesh.vertices[2] == std::array<float, 3>{0, 1.5F, -20});
  REQUIRE(mesh.triangles.size() == 1);
  CHECK(mesh.triangles[0] == std::array<std::uint32_t, 3>{0, 1, 2});
}

TEST_CASE("values of vertices are written and read again") {
  const testing::TemporaryFolder folder;
  for (const std::size_t count : {0U, 1U, 5U, 1001U}) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = 0.37F * static_cast<float>(i) - 2;
    save_vertex_values(folder.path() / "a.func.gii", values);
    CHECK(load_vertex_values(folder.path() / "a.func.gii") == values);
  }
}

TEST_CASE("damaged GIFTI files are refused with a reason") {
  const testing::TemporaryFolder folder;
  const auto refused = [&](const std::string& arrays, const std::string& words) {
    CHECK_THROWS_WITH(load_mesh(save(folder, arrays)), Contains(words) && Contains("a.gii"));
  };
  const auto values = [&](const std::string& extents, const std::string& encoding,
                          const std::string& data) {
    return data_array("NIFTI_INTENT_NONE", "NIFTI_TYPE_FLOAT32", extents, encoding, data);
  };
  const std::string three = "Dimensionality=\"1\" Dim0=\"3\"";
  refused("", "no points");
  refused(kTriangle, "does not exist");
  refused("<DataArray", "no well-formed XML");
  refused(values(three, "ASCII", "1 2"), "2 values for an array of 3");
  refused(values(three, "ASCII", "1 2 x"), "no number");
  refused(values(three, "Base64Binary", "AAAA"), "3 values has 3 bytes");
  refused(values(three, "Base64Binary", "A*AA"), "not base64");
  refused(values(three, "GZipBase64Binary", "AAAAAAAAAAAA"), "cannot be unpacked");
  refused(values("Dimensionality=\"1\" Dim0=\"99999999999\"", "GZipBase64Binary", "AAAA"),
          "claims");
  refused(values("Dimensionality=\"2\" Dim0=\"9999999999999\" Dim1=\"9999999999999\"", "ASCII", ""),
          "overflows");
  refused(values("Dimensionality=\"1\" Dim0=\"-1\"", "ASCII", "1"), "Dim0 is '-1'");
  refused(values("Dimensionality=\"1\"", "ASCII", "1"), "no Dim0");
  refused(values(three, "ExternalFileBinary", ""), "ExternalFileBinary");
  std::ofstream(folder.path() / "b.gii") << "<html></html>";
  CHECK_THROWS_WITH(load_gifti(folder.path() / "b.gii"), Contains("not a GIFTI file"));
  CHECK_THROWS_WITH(load_gifti(folder.path() / "none.gii"), Contains("No such file"));
}

TEST_CASE("the fsaverage5 surface is read") {
  const auto pial = testing::real_data("surface/fsaverage5_pial_left.gii.gz");
  const auto sulc = testing::real_data("surface/fsaverage5_sulc_left.gii.gz");
  if (!pial || !sulc) return;
  const Mesh mesh = load_mesh(*pial);
  CHECK(mesh.vertices.size() == 10242);
  CHECK(mesh.triangles.size() == 20480);  // 2 V - 4: a closed surface like a sphere
  CHECK(load_vertex_values(*sulc).size() == 10242);
  CHECK_THROWS_WITH(load_mesh(*sulc), Contains("no points"));
}

}  // namespace
