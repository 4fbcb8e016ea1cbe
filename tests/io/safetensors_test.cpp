#include "vid2vox/io/safetensors.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::DataType;
using vid2vox::io::NamedTensor;
using vid2vox::io::SafetensorsFile;
using vid2vox::io::write_safetensors;
using vid2vox::testing::reference_file;
using vid2vox::testing::TemporaryFolder;

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string length_prefix(std::uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof(length)};
}

/// A file made of a header and `data_bytes` zero bytes, opened.
class Handmade {
 public:
  SafetensorsFile open(const std::string& header, std::size_t data_bytes) const {
    return open_bytes(length_prefix(header.size()) + header + std::string(data_bytes, '\0'));
  }
  SafetensorsFile open_bytes(const std::string& bytes) const {
    std::ofstream(folder_.path() / "bad.safetensors", std::ios::binary) << bytes;
    return SafetensorsFile(folder_.path() / "bad.safetensors");
  }

 private:
  TemporaryFolder folder_;
};

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + type + R"(","shape":[)" + shape +
         R"(],"data_offsets":[)" + offsets + "]}";
}

TEST_CASE("safetensors: the reference files open and hold what their README says") {
  const SafetensorsFile gpt(reference_file("gpt_tiny.safetensors"));
  CHECK_FALSE(gpt.metadata().empty());
  CHECK(gpt.contains("eval.logits"));
  for (const char* file : {"axial_block", "gpt_tiny", "vqvae_4x16x16", "vqvae_4x4x4"}) {
    const SafetensorsFile reference(reference_file(std::string(file) + ".safetensors"));
    INFO(file);
    REQUIRE_FALSE(reference.tensors().empty());
    for (const auto& tensor : reference.tensors()) {
      INFO(tensor.name);
      std::size_t expected = 1;
      for (const std::size_t extent : tensor.shape) expected *= extent;
      if (tensor.type == DataType::kI64 || tensor.type == DataType::kI32) {
        CHECK(reference.read<std::int64_t>(tensor.name).size() == expected);
        CHECK_THROWS_WITH(reference.read<float>(tensor.name),
                          Contains(tensor.name) && Contains("I64") && Contains("F32"));
      } else {
        const auto values = reference.read<float>(tensor.name);
        const auto wide = reference.read<double>(tensor.name);
        REQUIRE(values.size() == expected);
        REQUIRE(wide.size() == expected);
        bool finite = true;
        bool equal = true;
        for (std::size_t i = 0; i < expected; ++i) {
          finite = finite && std::isfinite(values[i]);
          equal = equal && values[i] == static_cast<float>(wide[i]);
        }
        CHECK(finite);
        CHECK(equal);
        CHECK_THROWS_WITH(reference.read<std::int64_t>(tensor.name),
                          Contains(tensor.name) && Contains(std::string(name_of(tensor.type))) &&
                              Contains("I64"));
      }
    }
  }
}

TEST_CASE("safetensors: rewriting a reference file keeps every value, name and order") {
  const TemporaryFolder folder;
  const SafetensorsFile before(reference_file("axial_block.safetensors"));
  std::vector<NamedTensor> tensors;
  for (const auto& record : before.tensors()) {
    tensors.push_back({record.name, record.shape, before.read<float>(record.name)});
  }
  write_safetensors(folder.path() / "copy.safetensors", before.metadata(), tensors);
  const SafetensorsFile after(folder.path() / "copy.safetensors");
  CHECK(after.metadata() == before.metadata());
  REQUIRE(after.tensors().size() == before.tensors().size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(after.tensors()[i].name == before.tensors()[i].name);
    CHECK(after.tensors()[i].shape == before.tensors()[i].shape);
    CHECK(after.read<float>(tensors[i].name) == before.read<float>(tensors[i].name));
  }
}

TEST_CASE("safetensors: written bytes are exactly the format's") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "exact.safetensors";
  const std::vector<float> borrowed{1.0F, -2.0F};
  write_safetensors(path, {{"k", "v"}},
                    {{"b", {2}, std::span<const float>(borrowed)},
                     {"a", {}, std::vector<std::int64_t>{-1}},
                     {"none", {0, 3}, std::vector<double>{}}});
  std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"I64","shape":[],"data_offsets":[8,16]},)"
      R"("none":{"dtype":"F64","shape":[0,3],"data_offsets":[16,16]}})";
  while (header.size() % 8 != 0) header += ' ';
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0\xff\xff\xff\xff\xff\xff\xff\xff", 16);
  CHECK(contents(path) == length_prefix(header.size()) + header + data);
  const SafetensorsFile file(path);
  CHECK(file.metadata().at("k") == "v");
  CHECK(file.tensors()[0].name == "b");
  CHECK(file.read<double>("b") == std::vector<double>{1, -2});
  CHECK(file.read<std::int64_t>("a") == std::vector<std::int64_t>{-1});
  CHECK(file.read<double>("none").empty());
}

TEST_CASE("safetensors: 16-bit floats and I32 widen, integers never become floats") {
  const Handmade handmade;
  const std::string header = "{" + entry("h", "F16", "2", "0,4") + "," +
                             entry("b", "BF16", "1", "4,6") + "," + entry("i", "I32", "1", "6,10") +
                             "," + entry("u", "U8", "1", "10,11") + "}";
  const std::string data("\x00\x3c\x00\xc0\x80\x3f\xfe\xff\xff\xff\x05", 11);
  const auto file = handmade.open_bytes(length_prefix(header.size()) + header + data);
  CHECK(file.read<float>("h") == std::vector<float>{1, -2});
  CHECK(file.read<double>("b") == std::vector<double>{1});
  CHECK(file.read<std::int64_t>("i") == std::vector<std::int64_t>{-2});
  CHECK_THROWS_WITH(file.read<float>("i"), Contains("'i'") && Contains("I32") && Contains("F32"));
  CHECK_THROWS_WITH(file.read<std::int64_t>("u"), Contains("'u'") && Contains("U8"));
  CHECK_THROWS_WITH(file.read<float>("absent"),
                    Contains("bad.safetensors") && Contains("'absent'"));
}

TEST_CASE("safetensors: malformed files name the file and the tensor") {
  struct Case {
    std::string header;
    std::size_t data_bytes;
    std::string message;
  };
  const std::string good = entry("a", "F32", "2", "0,8");
  const std::vector<Case> cases = {
      {"{", 0, "not JSON"},
      {"", 0, "not JSON"},
      {"[]", 0, "not a JSON object"},
      {"3", 0, "not a JSON object"},
      {R"({"a":3})", 0, "'a': its header entry is not an object"},
      {R"({"a":{"shape":[],"data_offsets":[0,4]}})", 4, "'a': its header entry lacks 'dtype'"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "lacks 'shape'"},
      {R"({"a":{"dtype":"F32","shape":[]}})", 4, "lacks 'data_offsets'"},
      {R"({"a":{"dtype":7,"shape":[],"data_offsets":[0,4]}})", 4, "dtype is not a string"},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "shape is not an array"},
      {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, "shape holds \"1\""},
      {"{" + entry("a", "F32", "1", "0") + "}", 4, "two numbers"},
      {"{" + entry("a", "F32", "1", "0,4,8") + "}", 4, "two numbers"},
      {"{" + entry("a", "F33", "1", "0,4") + "}", 4, "'a': unknown dtype 'F33'"},
      {"{" + good + "," + good + "}", 8, "'a': the name occurs twice"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4, "twice"},
      {"{" + entry("a", "F32", "-1", "0,4") + "}", 4, "shape holds -1"},
      {"{" + entry("a", "F32", "1.5", "0,4") + "}", 4, "shape holds 1.5"},
      {"{" + entry("a", "F32", "99999999999999999999", "0,4") + "}", 4, "shape holds"},
      {"{" + entry("a", "F32", "4294967296,4294967296", "0,4") + "}", 4, "'a': the size"},
      {"{" + entry("a", "F32", "9223372036854775808", "0,4") + "}", 4, "overflows"},
      {"{" + entry("a", "F32", "3", "0,8") + "}", 8, "'a': its byte range [0, 8) does not have"},
      {"{" + entry("a", "F32", "0", "8,0") + "}", 8, "ends before it begins"},
      {"{" + entry("a", "F32", "2", "0,8") + "}", 7,
       "'a': its byte range [0, 8) lies beyond the 7"},
      {"{" + entry("a", "F32", "2", "-8,0") + "}", 8, "data_offsets holds -8"},
      {"{" + entry("a", "F32", "1", "18446744073709551612,18446744073709551616") + "}", 8,
       "data_offsets holds"},
      {"{" + good + "," + entry("b", "F32", "2", "4,12") + "}", 12, "'b': its bytes overlap"},
      {"{" + good + "," + entry("b", "F32", "1", "12,16") + "}", 16, "'b': a hole of 4 bytes"},
      {"{" + entry("a", "F32", "1", "4,8") + "}", 8, "'a': a hole of 4 bytes"},
      {"{" + good + "}", 9, "1 bytes at the end belong to no tensor"},
      {R"({"__metadata__":3})", 0, "__metadata__ is not an object"},
      {R"({"__metadata__":{"k":3}})", 0, "__metadata__ 'k' is not a string"},
  };
  const Handmade handmade;
  CHECK(handmade.open("{" + good + "}", 8).read<float>("a") == std::vector<float>{0, 0});
  for (const Case& bad : cases) {
    INFO(bad.header);
    CHECK_THROWS_WITH(handmade.open(bad.header, bad.data_bytes),
                      Contains("bad.safetensors") && Contains(bad.message));
  }
}

TEST_CASE("safetensors: header lengths beyond the file") {
  const Handmade handmade;
  CHECK_THROWS_WITH(handmade.open_bytes(""), Contains("0 bytes"));
  CHECK_THROWS_WITH(handmade.open_bytes("1234567"), Contains("7 bytes"));
  CHECK_THROWS_WITH(handmade.open_bytes(length_prefix(3) + "{}"), Contains("header length 3"));
  CHECK_THROWS_WITH(handmade.open_bytes(length_prefix(1ULL << 63U) + "{}"),
                    Contains("header length 9223372036854775808"));
  CHECK_THROWS_WITH(handmade.open_bytes(length_prefix(~0ULL) + "{}"), Contains("header length"));
  CHECK(handmade.open_bytes(length_prefix(2) + "{}").tensors().empty());
  CHECK_THROWS_AS(SafetensorsFile("/absent.safetensors"), Error);
}

TEST_CASE("safetensors: a file cut anywhere is refused") {
  const Handmade handmade;
  const std::string whole = contents(reference_file("axial_block.safetensors"));
  for (std::size_t length = 0; length < whole.size(); length += whole.size() / 37) {
    INFO(length);
    CHECK_THROWS_AS(handmade.open_bytes(whole.substr(0, length)), Error);
  }
}

TEST_CASE("safetensors: the writer refuses what it could not read back, and leaves nothing") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.safetensors";
  const std::vector<float> two{1, 2};
  CHECK_THROWS_WITH(write_safetensors(path, {}, {{"a", {3}, two}}), Contains("'a'"));
  CHECK_THROWS_WITH(write_safetensors(path, {}, {{"a", {2}, two}, {"a", {2}, two}}),
                    Contains("repeated"));
  CHECK_THROWS_AS(write_safetensors(path, {}, {{"__metadata__", {2}, two}}), Error);
  CHECK_THROWS_WITH(write_safetensors(path, {}, {{"\xff", {2}, two}}), Contains("UTF-8"));
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK_THROWS_AS(write_safetensors(folder.path() / "no" / "x", {}, {}), Error);
}

}  // namespace
