#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/number_format.hpp"

namespace VID2VOX::io {

/// Element types of the safetensors format (https://github.com/huggingface/safetensors).
enum class DataType : std::uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64
};

namespace internal {

struct DataTypeRow {
  DataType type;
  std::string_view name;
  std::size_t bytes;
};

inline constexpr std::array<DataTypeRow, 15> kDataTypes = {{{DataType::kBool, "BOOL", 1},
                                                            {DataType::kU8, "U8", 1},
                                                            {DataType::kI8, "I8", 1},
                                                            {DataType::kF8E4M3, "F8_E4M3", 1},
                                                            {DataType::kF8E5M2, "F8_E5M2", 1},
                                                            {DataType::kI16, "I16", 2},
                                                            {DataType::kU16, "U16", 2},
                                                            {DataType::kF16, "F16", 2},
                                                            {DataType::kBF16, "BF16", 2},
                                                            {DataType::kI32, "I32", 4},
                                                            {DataType::kU32, "U32", 4},
                                                            {DataType::kF32, "F32", 4},
                                                            {DataType::kI64, "I64", 8},
                                                            {DataType::kU64, "U64", 8},
                                                            {DataType::kF64, "F64", 8}}};

inline const DataTypeRow& data_type_row(DataType type) {
  return *std::find_if(kDataTypes.begin(), kDataTypes.end(),
                       [&](const DataTypeRow& row) { return row.type == type; });
}

/// The safetensors name of a C++ type that the writer and the reader know.
template <class T>
constexpr DataType data_type_of() {
  if constexpr (std::is_same_v<T, float>) {
    return DataType::kF32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DataType::kF64;
  } else {
    static_assert(std::is_same_v<T, std::int64_t>,
                  "safetensors values are read and written as float, double or std::int64_t");
    return DataType::kI64;
  }
}

}  // namespace internal

inline std::string_view name_of(DataType type) { return internal::data_type_row(type).name; }
inline std::size_t size_of(DataType type) { return internal::data_type_row(type).bytes; }

/// One tensor of a file: element type, shape, and its bytes [begin, end) counted from the start of
/// the data section.
struct TensorRecord {
  std::string name;
  DataType type = DataType::kF32;
  std::vector<std::size_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>((end - begin) / size_of(type));
  }
};

/// A safetensors file opened for reading. The constructor checks the whole header against the
/// file's size; tensor bytes are read on demand. Reading is safe from several threads.
class SafetensorsFile {
 public:
  /// Throws Error naming the file and the tensor if the header is malformed, or if the tensors do
  /// not cover the data section exactly once.
  template <class Json = nlohmann::ordered_json>  // compiled only where a file is opened
  explicit SafetensorsFile(const std::filesystem::path& path) : file_(path) {
    parse_header<Json>(read_header());
    check_coverage();
  }

  [[nodiscard]] const std::string& name() const { return file_.name(); }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// In the order of their bytes in the file.
  [[nodiscard]] const std::vector<TensorRecord>& tensors() const { return tensors_; }
  [[nodiscard]] bool contains(const std::string& tensor) const { return index_.contains(tensor); }

  /// Throws Error naming the file and the tensor if there is none of that name.
  [[nodiscard]] const TensorRecord& record(const std::string& tensor) const {
    const auto found = index_.find(tensor);
    if (found == index_.end()) {
      throw Error("no tensor of this name", place(tensor),
                  "the file has " + std::to_string(tensors_.size()) +
                      " tensors; check that it belongs to this model");
    }
    return tensors_[found->second];
  }

  /// The values in row-major order. T is float or double (stored F16, BF16, F32 or F64) or
  /// std::int64_t (stored I32 or I64). Throws Error if the stored type is of another kind.
  template <class T>
  [[nodiscard]] std::vector<T> read(const std::string& tensor) const {
    const TensorRecord& found = record(tensor);
    if constexpr (std::is_same_v<T, std::int64_t>) {
      if (found.type == DataType::kI64) return read_as<T, std::int64_t>(found);
      if (found.type == DataType::kI32) return read_as<T, std::int32_t>(found);
    } else {
      if (found.type == DataType::kF32) return read_as<T, float>(found);
      if (found.type == DataType::kF64) return read_as<T, double>(found);
      if (found.type == DataType::kF16) return read_as<T, float16>(found);
      if (found.type == DataType::kBF16) return read_as<T, bfloat16>(found);
    }
    throw Error("holds " + std::string(name_of(found.type)) + ", but " +
                    std::string(name_of(internal::data_type_of<T>())) + " is wanted",
                place(tensor), "store the tensor with the wanted type");
  }

 private:
  static constexpr std::uint64_t kPrefix = 8;                    // header length, u64
  static constexpr std::uint64_t kLargestHeader = 100000000;     // the format's own limit
  static constexpr std::string_view kMetadata = "__metadata__";  // the format's reserved name

  [[nodiscard]] std::string place(const std::string& tensor) const {
    return file_.name() + ", tensor '" + tensor + "'";
  }
  [[noreturn]] void fail(const std::string& problem, const std::string& where) const {
    throw Error(problem, where, "the file is damaged or no safetensors file; make it again");
  }

  [[nodiscard]] std::string read_header() {
    if (file_.size() < kPrefix) {
      fail("has " + std::to_string(file_.size()) + " bytes, fewer than the 8 of a header length",
           file_.name());
    }
    std::uint64_t length = 0;
    file_.read_at(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length > file_.size() - kPrefix || length > kLargestHeader) {
      fail("the header length " + std::to_string(length) + " exceeds the file of " +
               std::to_string(file_.size()) + " bytes or the format's limit of " +
               std::to_string(kLargestHeader),
           file_.name());
    }
    std::string header(static_cast<std::size_t>(length), '\0');
    file_.read_at(kPrefix, std::as_writable_bytes(std::span(header)));
    data_begin_ = kPrefix + length;
    return header;
  }

  template <class Json>
  void parse_header(const std::string& text) {
    // The document object keeps one of several equal keys without a word, so watch them go by.
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int /*depth*/, typename Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key &&
          !keys.back().insert(value.template get<std::string>()).second) {
        fail("the name occurs twice in the header", place(value.template get<std::string>()));
      }
      return true;
    };
    Json header;
    try {
      header = Json::parse(text, watch);
    } catch (const typename Json::exception& failure) {
      fail(std::string("the header is not JSON: ") + failure.what(), file_.name());
    }
    if (!header.is_object()) fail("the header is not a JSON object", file_.name());
    for (const auto& [key, value] : header.items()) {
      if (key == kMetadata) {
        parse_metadata(value);
      } else {
        tensors_.push_back(parse_tensor(key, value));
      }
    }
    std::stable_sort(tensors_.begin(), tensors_.end(),
                     [](const TensorRecord& a, const TensorRecord& b) {
                       return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                     });
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
  }

  template <class Json>
  void parse_metadata(const Json& value) {
    if (!value.is_object()) fail("__metadata__ is not an object", file_.name());
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("__metadata__ '" + key + "' is not a string", file_.name());
      metadata_[key] = text.template get<std::string>();
    }
  }

  template <class Json>
  [[nodiscard]] TensorRecord parse_tensor(const std::string& tensor, const Json& value) const {
    const std::string where = place(tensor);
    if (!value.is_object()) fail("its header entry is not an object", where);
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!value.contains(field))
        fail("its header entry lacks '" + std::string(field) + "'", where);
    }
    TensorRecord result;
    result.name = tensor;
    result.type = parse_type(value["dtype"], where);
    std::uint64_t bytes = size_of(result.type);
    for (const std::uint64_t extent : parse_integers(value["shape"], "shape", where)) {
      bytes = checked_product(bytes, extent, where);
      result.shape.push_back(static_cast<std::size_t>(extent));
    }
    const auto offsets = parse_integers(value["data_offsets"], "data_offsets", where);
    if (offsets.size() != 2) fail("data_offsets does not hold two numbers", where);
    result.begin = offsets[0];
    result.end = offsets[1];
    const std::string range =
        "[" + std::to_string(result.begin) + ", " + std::to_string(result.end) + ")";
    if (result.begin > result.end)
      fail("its byte range " + range + " ends before it begins", where);
    const std::uint64_t available = file_.size() - data_begin_;
    if (result.end > available) {
      fail("its byte range " + range + " lies beyond the " + std::to_string(available) +
               " data bytes of the file",
           where);
    }
    if (result.end - result.begin != bytes) {
      fail("its byte range " + range + " does not have the " + std::to_string(bytes) +
               " bytes of its shape and type",
           where);
    }
    return result;
  }

  template <class Json>
  [[nodiscard]] DataType parse_type(const Json& value, const std::string& where) const {
    if (!value.is_string()) fail("dtype is not a string", where);
    const auto text = value.template get<std::string>();
    const auto* const found =
        std::find_if(internal::kDataTypes.begin(), internal::kDataTypes.end(),
                     [&](const internal::DataTypeRow& row) { return row.name == text; });
    if (found == internal::kDataTypes.end()) fail("unknown dtype '" + text + "'", where);
    return found->type;
  }

  template <class Json>
  [[nodiscard]] std::vector<std::uint64_t> parse_integers(const Json& value,
                                                          const std::string& field,
                                                          const std::string& where) const {
    if (!value.is_array()) fail(field + " is not an array", where);
    std::vector<std::uint64_t> result;
    for (const Json& item : value) {
      // A number beyond 64 bits becomes a float in JSON, so this catches overflow too.
      if (!item.is_number_unsigned()) {
        fail(field + " holds " + item.dump() + ", which is no number from 0 to 2^64-1", where);
      }
      result.push_back(item.template get<std::uint64_t>());
    }
    return result;
  }

  /// Tensors are sorted by their first byte: each must begin where the one before ended.
  void check_coverage() const {
    std::uint64_t expected = 0;
    for (const TensorRecord& tensor : tensors_) {
      if (tensor.begin < expected) fail("its bytes overlap another tensor's", place(tensor.name));
      if (tensor.begin > expected) {
        fail("a hole of " + std::to_string(tensor.begin - expected) + " bytes lies before it",
             place(tensor.name));
      }
      expected = tensor.end;
    }
    if (data_begin_ + expected != file_.size()) {
      fail(std::to_string(file_.size() - data_begin_ - expected) +
               " bytes at the end belong to no tensor",
           file_.name());
    }
  }

  template <class T, class Raw>
  [[nodiscard]] std::vector<T> read_as(const TensorRecord& tensor) const {
    std::vector<T> values(tensor.size());
    const std::uint64_t offset = data_begin_ + tensor.begin;
    if constexpr (std::is_same_v<T, Raw>) {
      file_.read_at(offset, std::as_writable_bytes(std::span(values)));
    } else {
      constexpr std::size_t kPiece = 65536;  // values converted at a time
      std::vector<Raw> piece(std::min(kPiece, values.size()));
      for (std::size_t first = 0; first < values.size(); first += kPiece) {
        const std::size_t count = std::min(kPiece, values.size() - first);
        file_.read_at(offset + first * sizeof(Raw),
                      std::as_writable_bytes(std::span(piece.data(), count)));
        std::transform(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count),
                       values.begin() + static_cast<std::ptrdiff_t>(first),
                       [](Raw raw) { return static_cast<T>(raw); });
      }
    }
    return values;
  }

  RandomAccessFile file_;
  std::uint64_t data_begin_ = 0;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorRecord> tensors_;
  std::map<std::string, std::size_t> index_;
};

/// Values to write: owned or borrowed, row-major.
using TensorValues =
    std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>,
                 std::span<const float>, std::span<const double>, std::span<const std::int64_t>>;

struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  TensorValues values;
};

/// Writes a safetensors file: tensors in the given order, the header padded with spaces so that the
/// data begin at a multiple of 8. The file appears under its name only when complete. Throws Error
/// if a name is repeated or reserved, if a shape does not fit its values, or if writing fails.
template <class Json = nlohmann::ordered_json>  // compiled only where it is called
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, std::string>& metadata,
                       const std::vector<NamedTensor>& tensors) {
  constexpr std::size_t kAlignment = 8;
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  std::set<std::string> names;
  for (const NamedTensor& tensor : tensors) {
    const std::string where = path.string() + ", tensor '" + tensor.name + "'";
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second) {
      throw Error("the name is repeated or reserved", where, "give each tensor its own name");
    }
    std::uint64_t expected = 1;
    for (const std::size_t extent : tensor.shape) {
      expected = checked_product(expected, extent, where);
    }
    std::visit(
        [&](const auto& values) {
          using T = std::remove_const_t<std::remove_reference_t<decltype(*values.data())>>;
          if (values.size() != expected) {
            throw Error(std::to_string(values.size()) + " values do not fill a shape of " +
                            std::to_string(expected) + " elements",
                        where, "correct the shape");
          }
          const std::uint64_t end = offset + values.size() * sizeof(T);
          header[tensor.name] = {{"dtype", std::string(name_of(internal::data_type_of<T>()))},
                                 {"shape", tensor.shape},
                                 {"data_offsets", {offset, end}}};
          offset = end;
        },
        tensor.values);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const typename Json::exception& failure) {
    throw Error(std::string("names or metadata are not UTF-8: ") + failure.what(), path.string(),
                "use UTF-8 text");
  }
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  AtomicFile file(path);
  const std::uint64_t length = text.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const NamedTensor& tensor : tensors) {
    std::visit([&](const auto& values) { file.write(std::as_bytes(std::span(values))); },
               tensor.values);
  }
  file.commit();
}

}  // namespace VID2VOX::io
