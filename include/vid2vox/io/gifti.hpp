#pragma once

#include <expat.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/base64.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/mesh.hpp"
#include "vid2vox/io/number_format.hpp"
#include "vid2vox/io/table.hpp"

// Needs the components vid2vox::nifti and vid2vox::arrays. XML is read by expat: gifticlib
// allocates what a file claims and does not read compressed files.

namespace VID2VOX::io {

/// One array of a GIFTI file.
struct GiftiArray {
  std::string intent{};  // "NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE", ...
  std::vector<std::size_t> shape{};
  std::vector<double> values{};  // row-major
};

namespace internal {

inline constexpr const char* kGiftiAction =
    "the file is damaged or cut short; make or copy it again";

/// The DataArrays of one file, collected while expat reads it.
class GiftiParser {
 public:
  explicit GiftiParser(std::string name) : name_(std::move(name)) {}

  std::vector<GiftiArray> parse(const std::filesystem::path& path) {
    const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
        XML_ParserCreate(nullptr), &XML_ParserFree);
    if (!parser) throw Error("expat failed", name_, "free some memory");
    XML_SetUserData(parser.get(), this);
    XML_SetElementHandler(parser.get(), &GiftiParser::start, &GiftiParser::end);
    XML_SetCharacterDataHandler(parser.get(), &GiftiParser::text);
    LineReader lines(path);
    std::string line;
    bool more = true;
    while (more) {
      more = lines.next(line);
      line += '\n';
      if (XML_Parse(parser.get(), more ? line.data() : "", more ? static_cast<int>(line.size()) : 0,
                    more ? 0 : 1) == XML_STATUS_ERROR) {
        throw Error(std::string("no well-formed XML: ") +
                        XML_ErrorString(XML_GetErrorCode(parser.get())) + " in line " +
                        std::to_string(lines.number()),
                    name_, kGiftiAction);
      }
      if (failure_) std::rethrow_exception(failure_);
    }
    if (!seen_root_) throw Error("not a GIFTI file", name_, "give a .gii or .gii.gz file");
    return std::move(arrays_);
  }

 private:
  static GiftiParser& self(void* data) { return *static_cast<GiftiParser*>(data); }

  static void start(void* data, const char* element, const char** attributes) {
    GiftiParser& parser = self(data);
    const std::string_view name = element;
    if (name == "GIFTI") parser.seen_root_ = true;
    if (name == "DataArray") {
      parser.arrays_.emplace_back();
      parser.attributes_.clear();
      for (; *attributes != nullptr; attributes += 2) {
        parser.attributes_.emplace_back(attributes[0], attributes[1]);
      }
    }
    if (name == "Data") {
      parser.in_data_ = true;
      parser.data_.clear();
    }
  }

  static void text(void* data, const char* characters, int length) {
    GiftiParser& parser = self(data);
    if (parser.in_data_) parser.data_.append(characters, static_cast<std::size_t>(length));
  }

  /// An exception must not pass through expat's C code: parse() throws it on.
  static void end(void* data, const char* element) {
    GiftiParser& parser = self(data);
    if (std::string_view(element) != "Data") return;
    parser.in_data_ = false;
    try {
      if (!parser.failure_ && !parser.arrays_.empty()) parser.finish(parser.arrays_.back());
    } catch (...) {
      parser.failure_ = std::current_exception();
    }
  }

  [[nodiscard]] std::string attribute(const std::string& key) const {
    for (const auto& [name, value] : attributes_) {
      if (name == key) return value;
    }
    throw Error("a DataArray has no " + key, name_, kGiftiAction);
  }

  [[nodiscard]] std::size_t extent(const std::string& key) const {
    const std::string digits = attribute(key);
    std::size_t value = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc() || end != digits.data() + digits.size()) {
      throw Error(key + " is '" + digits + "'", name_, kGiftiAction);
    }
    return value;
  }

  void finish(GiftiArray& array) {
    array.intent = attribute("Intent");
    const std::size_t rank = extent("Dimensionality");
    constexpr std::size_t kMostDimensions = 6;  // of the GIFTI standard
    if (rank < 1 || rank > kMostDimensions) {
      throw Error("an array of " + std::to_string(rank) + " dimensions", name_, kGiftiAction);
    }
    std::uint64_t count = 1;
    for (std::size_t i = 0; i < rank; ++i) {
      array.shape.push_back(extent("Dim" + std::to_string(i)));
      count = checked_product(count, array.shape.back(), name_);
    }
    const std::string type = attribute("DataType");
    const std::string encoding = attribute("Encoding");
    if (encoding == "ASCII") {
      read_text(array);
    } else {
      std::vector<std::byte> bytes = decode_base64(data_, name_);
      const std::size_t item = type == "NIFTI_TYPE_UINT8"     ? 1
                               : type == "NIFTI_TYPE_FLOAT64" ? 8
                                                              : 4;
      if (encoding == "GZipBase64Binary") {
        bytes = unpack(bytes, checked_product(count, item, name_));
      } else if (encoding != "Base64Binary") {
        throw Error("encoding '" + encoding + "'", name_, "save it with its data inside the file");
      }
      if (bytes.size() / item != count || bytes.size() % item != 0) {
        throw Error("an array of " + std::to_string(count) + " values has " +
                        std::to_string(bytes.size()) + " bytes",
                    name_, kGiftiAction);
      }
      read_binary(array, type, bytes);
    }
    if (array.values.size() != count) {
      throw Error(
          std::to_string(array.values.size()) + " values for an array of " + std::to_string(count),
          name_, kGiftiAction);
    }
    if (rank > 1 && attribute("ArrayIndexingOrder") != "RowMajorOrder") {
      throw Error("an array in column-major order", name_, "save it in row-major order");
    }
  }

  void read_text(GiftiArray& array) const {
    const char* at = data_.data();
    const char* const stop = at + data_.size();
    for (;;) {
      at = std::find_if(at, stop, [](char c) { return c != ' ' && c != '\n' && c != '\t'; });
      if (at == stop) return;
      double value = 0;
      const auto [end, code] = std::from_chars(at, stop, value);
      if (code != std::errc()) throw Error("text that is no number", name_, kGiftiAction);
      array.values.push_back(value);
      at = end;
    }
  }

  void read_binary(GiftiArray& array, const std::string& type,
                   std::span<const std::byte> bytes) const {
    const bool reversed = attribute("Endian") == "BigEndian";
    const auto convert = [&]<class Raw>(Raw /*type*/) {
      for (std::size_t i = 0; i < bytes.size(); i += sizeof(Raw)) {
        array.values.push_back(static_cast<double>(load_value<Raw>(bytes.data() + i, reversed)));
      }
    };
    if (type == "NIFTI_TYPE_FLOAT32") {
      convert(float{});
    } else if (type == "NIFTI_TYPE_INT32") {
      convert(std::int32_t{});
    } else if (type == "NIFTI_TYPE_UINT8") {
      convert(std::uint8_t{});
    } else if (type == "NIFTI_TYPE_FLOAT64") {
      convert(double{});
    } else {
      throw Error("values of type " + type, name_, "save them as float32, int32 or uint8");
    }
  }

  /// `size` is what the header claims; deflate shrinks nothing more than 1032 times.
  std::vector<std::byte> unpack(std::span<const std::byte> packed, std::uint64_t size) const {
    constexpr std::uint64_t kLargestRatio = 1032;
    if (size / kLargestRatio > packed.size()) {
      throw Error("an array claims " + std::to_string(size) + " bytes", name_, kGiftiAction);
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(size));
    uLongf length = bytes.size();
    const int code = uncompress(reinterpret_cast<Bytef*>(bytes.data()), &length,
                                reinterpret_cast<const Bytef*>(packed.data()), packed.size());
    if (code != Z_OK || length != bytes.size()) {
      throw Error("an array cannot be unpacked to " + std::to_string(size) + " bytes", name_,
                  kGiftiAction);
    }
    return bytes;
  }

  std::string name_;
  std::vector<GiftiArray> arrays_;
  std::vector<std::pair<std::string, std::string>> attributes_;
  std::string data_;
  bool in_data_ = false;
  bool seen_root_ = false;
  std::exception_ptr failure_;
};

}  // namespace internal

/// All arrays of a GIFTI file (.gii or .gii.gz). Throws Error naming the file if it is damaged, or
/// holds arrays in external files, in column-major order or of other types than float32, float64,
/// int32 and uint8.
inline std::vector<GiftiArray> load_gifti(const std::filesystem::path& path) {
  return internal::GiftiParser(path.string()).parse(path);
}

/// The mesh of a GIFTI surface. Throws Error if the file has no points or triangles, or a triangle
/// names a vertex that does not exist.
inline Mesh load_mesh(const std::filesystem::path& path) {
  Mesh mesh;
  for (const GiftiArray& array : load_gifti(path)) {
    const bool points = array.intent == "NIFTI_INTENT_POINTSET";
    if (!points && array.intent != "NIFTI_INTENT_TRIANGLE") continue;
    if (array.shape.size() != 2 || array.shape[1] != 3) {
      throw Error("its points or triangles are no rows of three", path.string(),
                  "give a surface as FreeSurfer's mris_convert writes it");
    }
    for (std::size_t i = 0; i < array.shape[0]; ++i) {
      const double* row = array.values.data() + 3 * i;
      if (points) {
        mesh.vertices.push_back(
            {static_cast<float>(row[0]), static_cast<float>(row[1]), static_cast<float>(row[2])});
      } else if (row[0] >= 0 && row[1] >= 0 && row[2] >= 0) {
        mesh.triangles.push_back({static_cast<std::uint32_t>(row[0]),
                                  static_cast<std::uint32_t>(row[1]),
                                  static_cast<std::uint32_t>(row[2])});
      } else {
        throw Error("a triangle with a negative vertex", path.string(), internal::kGiftiAction);
      }
    }
  }
  const bool whole = std::all_of(mesh.triangles.begin(), mesh.triangles.end(),
                                 [&](const std::array<std::uint32_t, 3>& t) {
                                   return std::max({t[0], t[1], t[2]}) < mesh.vertices.size();
                                 });
  if (mesh.triangles.empty() || !whole) {
    throw Error(mesh.triangles.empty() ? "has no points or no triangles"
                                       : "a triangle names a vertex that does not exist",
                path.string(), "give a surface (.surf.gii), not its values");
  }
  return mesh;
}

/// The first array of a GIFTI file as one value a vertex (sulcal depth, a map).
inline std::vector<float> load_vertex_values(const std::filesystem::path& path) {
  const std::vector<GiftiArray> arrays = load_gifti(path);
  if (arrays.empty()) throw Error("holds no array", path.string(), "give a file with values");
  return {arrays[0].values.begin(), arrays[0].values.end()};
}

/// Writes one float32 a vertex as a GIFTI functional file (.func.gii). The file appears under its
/// name only when complete.
inline void save_vertex_values(const std::filesystem::path& path, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  uLongf length = compressBound(bytes.size());
  std::vector<std::byte> packed(length);
  if (compress(reinterpret_cast<Bytef*>(packed.data()), &length,
               reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != Z_OK) {
    throw Error("zlib failed", path.string(), "free some memory");
  }
  packed.resize(length);
  AtomicFile file(path);
  file.write(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<!DOCTYPE GIFTI SYSTEM \"http://gifti.projects.nitrc.org/gifti.dtd\">\n"
      "<GIFTI Version=\"1.0\" NumberOfDataArrays=\"1\">\n<MetaData/>\n<LabelTable/>\n"
      "<DataArray Intent=\"NIFTI_INTENT_NONE\" DataType=\"NIFTI_TYPE_FLOAT32\""
      " ArrayIndexingOrder=\"RowMajorOrder\" Dimensionality=\"1\" Dim0=\"" +
      std::to_string(values.size()) +
      "\" Encoding=\"GZipBase64Binary\" Endian=\"LittleEndian\" ExternalFileName=\"\""
      " ExternalFileOffset=\"\">\n<MetaData/>\n<Data>" +
      encode_base64(packed) + "</Data>\n</DataArray>\n</GIFTI>\n");
  file.commit();
}

}  // namespace VID2VOX::io
