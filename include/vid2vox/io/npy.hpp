#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#include <xtensor/xarray.hpp>
#include <xtensor/xmanipulation.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/number_format.hpp"

// xtensor's own npy reader takes truncated files for whole ones, allocates what the header asks for
// and converts no types, so the format (numpy's NEP 1) is read here.

namespace VID2VOX::io {

/// What an npy header says.
struct NpyHeader {
  char kind = 'f';             // 'f' float, 'i' int, 'u' unsigned, 'b' bool
  std::size_t item_bytes = 4;  // bytes of one element
  bool reversed = false;       // stored big-endian
  bool fortran_order = false;
  std::vector<std::size_t> shape;
  std::uint64_t data_begin = 0;  // first byte of the values

  [[nodiscard]] std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t extent : shape) product *= extent;
    return product;
  }
};

namespace internal {

/// Reads the Python dictionary of an npy header, keys in any order.
class NpyDictionary {
 public:
  NpyDictionary(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  void parse(NpyHeader& header) {
    bool seen_type = false;
    bool seen_order = false;
    bool seen_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !std::exchange(seen_type, true)) {
        parse_type(header);
      } else if (key == "fortran_order" && !std::exchange(seen_order, true)) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !std::exchange(seen_shape, true)) {
        parse_shape(header);
      } else {
        fail("unexpected key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!seen_type || !seen_order || !seen_shape) fail("descr, fortran_order or shape is missing");
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error("malformed npy header: " + problem, where_, "save the array again with numpy");
  }
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
  }
  bool accept(char wanted) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("'") + wanted + "' expected");
  }
  std::string quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) fail("a string does not end");
    std::string result(text_.substr(position_, end - position_));
    position_ = end + 1;
    return result;
  }
  bool word(std::string_view wanted) {
    skip_space();
    if (text_.substr(position_, wanted.size()) != wanted) return false;
    position_ += wanted.size();
    return true;
  }
  bool boolean() {
    if (word("True")) return true;
    if (word("False")) return false;
    fail("fortran_order is neither True nor False");
  }

  void parse_type(NpyHeader& header) {
    skip_space();
    if (position_ < text_.size() && text_[position_] == '[') {
      throw Error("holds records (a structured dtype)", where_, "save one field as a plain array");
    }
    const std::string descr = quoted();
    constexpr std::size_t kShortest = 3;  // byte order, kind, one digit
    const std::string_view kinds = "fiub";
    if (descr.size() >= 2 && descr[1] == 'O') {
      throw Error("holds Python objects (dtype '" + descr + "')", where_,
                  "save it as a float array: array.astype('float32')");
    }
    if (descr.size() != kShortest || std::string_view("<>|=").find(descr[0]) == kinds.npos ||
        kinds.find(descr[1]) == kinds.npos || !valid_size(descr[1], descr[2])) {
      throw Error("dtype '" + descr + "' is not supported", where_,
                  "save it as a float, integer or bool array: array.astype('float32')");
    }
    header.reversed = descr[0] == '>';
    header.kind = descr[1];
    header.item_bytes = static_cast<std::size_t>(descr[2] - '0');
  }
  static bool valid_size(char kind, char digit) {
    const std::string_view sizes = kind == 'f' ? "248" : (kind == 'b' ? "1" : "1248");
    return sizes.find(digit) != std::string_view::npos;
  }

  void parse_shape(NpyHeader& header) {
    expect('(');
    while (!accept(')')) {
      header.shape.push_back(extent());
      accept('L');  // Python 2 wrote long integers so
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }
  std::size_t extent() {
    skip_space();
    constexpr std::uint64_t kBase = 10;
    const std::size_t begin = position_;
    std::uint64_t value = 0;
    for (; position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9';
         ++position_) {
      value = checked_product(value, kBase, where_);
      if (__builtin_add_overflow(value, static_cast<std::uint64_t>(text_[position_] - '0'),
                                 &value)) {
        fail("an extent of the shape overflows");
      }
    }
    if (position_ == begin) fail("the shape holds something that is no number from 0 up");
    return static_cast<std::size_t>(value);
  }

  std::string_view text_;
  std::string where_;
  std::size_t position_ = 0;
};

/// Bytes of the values, or an Error if that overflows.
inline std::uint64_t npy_data_bytes(const NpyHeader& header, const std::string& where) {
  std::uint64_t bytes = header.item_bytes;
  // Zeros last: a shape such as (2^63, 2^63, 0) must not pass.
  for (const std::size_t extent : header.shape) {
    bytes = checked_product(bytes, std::max<std::uint64_t>(extent, 1), where);
  }
  const bool empty = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  return empty ? 0 : bytes;
}

template <class T, class Raw>
void convert_values(std::span<const std::byte> bytes, bool reversed, T* out) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(Raw); ++i) {
    out[i] = static_cast<T>(load_value<Raw>(bytes.data() + i * sizeof(Raw), reversed));
  }
}

/// bytes: whole elements; out: as many values.
template <class T>
void convert_npy(const NpyHeader& header, std::span<const std::byte> bytes, T* out) {
  const bool reversed = header.reversed;
  constexpr std::size_t kOneByte = 1;
  constexpr std::size_t kFourBytes = 4;
  switch (header.kind) {
    case 'f':
      if (header.item_bytes == 2) {
        convert_values<T, float16>(bytes, reversed, out);
      } else if (header.item_bytes == kFourBytes) {
        convert_values<T, float>(bytes, reversed, out);
      } else {
        convert_values<T, double>(bytes, reversed, out);
      }
      break;
    case 'i':
      if (header.item_bytes == kOneByte) {
        convert_values<T, std::int8_t>(bytes, reversed, out);
      } else if (header.item_bytes == 2) {
        convert_values<T, std::int16_t>(bytes, reversed, out);
      } else if (header.item_bytes == kFourBytes) {
        convert_values<T, std::int32_t>(bytes, reversed, out);
      } else {
        convert_values<T, std::int64_t>(bytes, reversed, out);
      }
      break;
    default:
      if (header.item_bytes == kOneByte) {
        convert_values<T, std::uint8_t>(bytes, reversed, out);
      } else if (header.item_bytes == 2) {
        convert_values<T, std::uint16_t>(bytes, reversed, out);
      } else if (header.item_bytes == kFourBytes) {
        convert_values<T, std::uint32_t>(bytes, reversed, out);
      } else {
        convert_values<T, std::uint64_t>(bytes, reversed, out);
      }
  }
}

/// numpy's type string of a C++ type.
template <class T>
std::string npy_type() {
  const std::string order = sizeof(T) == 1 ? "|" : "<";
  const char kind = std::is_same_v<T, bool>       ? 'b'
                    : std::is_floating_point_v<T> ? 'f'
                    : std::is_signed_v<T>         ? 'i'
                                                  : 'u';
  return order + kind + std::to_string(sizeof(T));
}

}  // namespace internal

/// Converts a stretch of an array's items as they are in the file: bytes: whole items, out: as many
/// values.
template <class T>
void convert_npy_items(const NpyHeader& header, std::span<const std::byte> bytes, T* out) {
  internal::convert_npy(header, bytes, out);
}

/// Reads and checks the header of an npy stream. Source: RandomAccessFile or MemoryBytes. Throws
/// Error if it is malformed, holds an unsupported type, or if the source is too short for its
/// shape.
template <class Source>
NpyHeader read_npy_header(const Source& source) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr std::uint64_t kVersionEnd = 8;    // magic, major and minor version
  constexpr std::uint8_t kNewestVersion = 3;  // 1: u16 length; 2 and 3: u32 length
  std::array<std::byte, kVersionEnd + 4> start{};
  const std::uint64_t available = std::min<std::uint64_t>(start.size(), source.size());
  source.read_at(0, std::span(start).first(static_cast<std::size_t>(available)));
  const auto major = static_cast<std::uint8_t>(start[kMagic.size()]);
  const bool is_npy = std::equal(kMagic.begin(), kMagic.end(), start.begin(), [](char a, auto b) {
    return static_cast<std::byte>(static_cast<unsigned char>(a)) == b;
  });
  if (available < start.size() || !is_npy || major < 1 || major > kNewestVersion) {
    throw Error("not an npy file (or one of an unknown version)", source.name(),
                "give a file written by numpy.save");
  }
  NpyHeader header;
  const std::uint64_t length = major == 1 ? load_value<std::uint16_t>(&start[kVersionEnd])
                                          : load_value<std::uint32_t>(&start[kVersionEnd]);
  const std::uint64_t begin = kVersionEnd + (major == 1 ? 2 : 4);
  if (length > source.size() - begin) {
    throw Error("the npy header of " + std::to_string(length) + " bytes is cut short",
                source.name(), "the file is truncated; make or copy it again");
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  source.read_at(begin, std::as_writable_bytes(std::span(text)));
  internal::NpyDictionary(text, source.name()).parse(header);
  header.data_begin = begin + length;
  const std::uint64_t needed = internal::npy_data_bytes(header, source.name());
  if (needed > source.size() - header.data_begin) {
    throw Error("the shape needs " + std::to_string(needed) + " bytes of values, but only " +
                    std::to_string(source.size() - header.data_begin) + " follow",
                source.name(), "the file is truncated; make or copy it again");
  }
  return header;
}

/// Reads an npy stream as T: float or double from any number or bool; std::uint8_t from unsigned
/// bytes and bools only. The result is row-major whatever the stored order.
template <class T, class Source>
xt::xarray<T> read_npy(const Source& source) {
  static_assert(std::is_floating_point_v<T> || std::is_same_v<T, std::uint8_t>,
                "npy files are read as float, double or std::uint8_t");
  const NpyHeader header = read_npy_header(source);
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    if (header.item_bytes != 1 || header.kind == 'i') {
      throw Error("holds '" + std::string(1, header.kind) + std::to_string(header.item_bytes) +
                      "', but unsigned bytes are wanted",
                  source.name(), "save it with dtype uint8");
    }
  }
  std::vector<std::size_t> shape = header.shape;
  if (header.fortran_order) std::reverse(shape.begin(), shape.end());
  xt::xarray<T> values = xt::xarray<T>::from_shape(shape);
  constexpr std::size_t kPiece = 65536;  // elements converted at a time
  std::vector<std::byte> piece(std::min(kPiece, values.size()) * header.item_bytes);
  for (std::size_t first = 0; first < values.size(); first += kPiece) {
    const std::size_t count = std::min(kPiece, values.size() - first);
    const auto bytes = std::span(piece).first(count * header.item_bytes);
    source.read_at(header.data_begin + first * header.item_bytes, bytes);
    internal::convert_npy(header, bytes, values.data() + first);
  }
  if (!header.fortran_order || shape.size() < 2) return values;
  return xt::xarray<T>(xt::transpose(values));
}

/// Loads an npy file; see read_npy for T. Throws Error naming the file.
template <class T = float>
xt::xarray<T> load_npy(const std::filesystem::path& path) {
  return read_npy<T>(RandomAccessFile(path));
}

/// Saves an xtensor container or expression as npy (row-major, its own value type). The file
/// appears under its name only when complete.
template <class Expression>
void save_npy(const std::filesystem::path& path, const xt::xexpression<Expression>& expression) {
  using T = typename Expression::value_type;
  static_assert(std::is_arithmetic_v<T>, "npy files hold numbers or bools");
  const xt::xarray<T, xt::layout_type::row_major> values = expression.derived_cast();
  std::string header =
      "{'descr': '" + internal::npy_type<T>() + "', 'fortran_order': False, 'shape': (";
  for (const std::size_t extent : values.shape()) header += std::to_string(extent) + ", ";
  // As numpy writes it: (), (3,), (3, 4).
  if (values.dimension() > 0) header.resize(header.size() - (values.dimension() > 1 ? 2 : 1));
  header += "), }";
  constexpr std::size_t kAlignment = 64;        // numpy's own
  constexpr std::size_t kPreamble = 6 + 2 + 2;  // magic, version 1.0, u16 length
  const std::size_t total =
      (kPreamble + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(total - kPreamble - 1, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  AtomicFile file(path);
  file.write(std::string("\x93NUMPY\x01\x00", kPreamble - 2));
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  file.write(std::as_bytes(std::span(values.data(), values.size())));
  file.commit();
}

}  // namespace VID2VOX::io
