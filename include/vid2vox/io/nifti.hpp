#pragma once

#include <nifti2_io.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/number_format.hpp"
#include "vid2vox/io/volume.hpp"

// Needs the component vid2vox::nifti. Headers are interpreted by libnifti2; sizes are checked here
// before anything is allocated, and values converted here volume by volume, because the library
// allocates what a header claims.

namespace VID2VOX::io {

namespace internal {

struct ZnzClose {
  void operator()(znzptr* file) const { znzclose(file); }
};
using Znz = std::unique_ptr<znzptr, ZnzClose>;

struct NiftiFree {
  void operator()(nifti_image* image) const { nifti_image_free(image); }
};
using NiftiImage = std::unique_ptr<nifti_image, NiftiFree>;

inline bool is_gzip(const RandomAccessFile& file) {
  std::array<std::byte, 2> start{};
  if (file.size() < start.size()) return false;
  file.read_at(0, start);
  constexpr std::array<std::byte, 2> kMagic = {std::byte{0x1F}, std::byte{0x8B}};  // RFC 1952
  return start == kMagic;
}

/// Bytes of a file, unpacked if it is a gzip file whatever its name.
class NiftiBytes {
 public:
  explicit NiftiBytes(const std::filesystem::path& path) : name_(path.string()) {
    const RandomAccessFile file(path);
    compressed_ = is_gzip(file);
    file_bytes_ = file.size();
    file_.reset(znzopen(name_.c_str(), "rb", compressed_ ? 1 : 0));
    if (!file_) throw Error("cannot open", name_, "check the path and its permissions");
  }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// False when a file of this size cannot hold so many bytes. Of a compressed file only a bound is
  /// known: deflate shrinks nothing more than 1032 times.
  [[nodiscard]] bool can_hold(std::uint64_t bytes) const {
    constexpr std::uint64_t kLargestRatio = 1032;
    return compressed_ ? bytes / kLargestRatio <= file_bytes_ : bytes <= file_bytes_;
  }

  /// Throws Error when the file ends before, or is damaged.
  void read_at(std::uint64_t offset, std::span<std::byte> out) {
    constexpr std::size_t kPiece = std::size_t{1} << 26U;  // zlib counts in 32 bits
    bool whole = true;
    if (offset != position_) {
      whole = znzseek(file_.get(), static_cast<long>(offset), SEEK_SET) >= 0;
    }
    std::size_t done = 0;
    while (whole && done < out.size()) {
      const std::size_t wanted = std::min(kPiece, out.size() - done);
      whole = znzread(out.data() + done, 1, wanted, file_.get()) == wanted;
      done += wanted;
    }
    if (!whole) {
      throw Error("the file ends, or is damaged, before byte " +
                      std::to_string(offset + out.size()) +
                      (compressed_ ? " of its unpacked content" : ""),
                  name_, "it is cut short; make or copy it again");
    }
    position_ = offset + out.size();
  }

 private:
  std::string name_;
  Znz file_;
  bool compressed_ = false;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t position_ = 0;
};

inline constexpr const char* kNiftiAction =
    "give a NIfTI-1 or NIfTI-2 file (.nii, .nii.gz or .hdr)";

struct NiftiHeader {
  NiftiImage image;         // without values
  bool second = false;      // NIfTI-2
  bool single_file = true;  // values follow in the same file
  bool reversed = false;    // stored big-endian
};

/// The header by libnifti2's reading. Its layout (sizes, dimensions, magic) is checked before,
/// since the library mends dimensions of 0 without a word.
inline NiftiHeader read_nifti_header(NiftiBytes& bytes) {
  union {
    nifti_1_header first;
    nifti_2_header second;
    std::array<std::byte, sizeof(nifti_2_header)> raw;
  } header{.second = {}};
  const auto raw = std::as_writable_bytes(std::span(&header, 1));
  if (!bytes.can_hold(sizeof(nifti_1_header))) throw Error("too short", bytes.name(), kNiftiAction);
  bytes.read_at(0, raw.first(sizeof(nifti_1_header)));
  const auto starts = [&](std::size_t size, bool reversed) {
    return load_value<std::int32_t>(raw.data(), reversed) == static_cast<std::int32_t>(size);
  };
  const bool reversed =
      starts(sizeof(nifti_1_header), true) || starts(sizeof(nifti_2_header), true);
  const bool second = starts(sizeof(nifti_2_header), reversed);
  if (!second && !starts(sizeof(nifti_1_header), reversed)) {
    throw Error("not a NIfTI file", bytes.name(), kNiftiAction);
  }
  if (second) bytes.read_at(0, raw);
  const std::string_view magic(second ? header.second.magic : header.first.magic, 4);
  using namespace std::string_view_literals;
  const bool paired = magic == (second ? "ni2\0"sv : "ni1\0"sv);
  const bool single_file = magic == (second ? "n+2\0"sv : "n+1\0"sv);
  if (!paired && !single_file) {
    throw Error("has no NIfTI magic (an ANALYZE file?)", bytes.name(), kNiftiAction);
  }
  const auto extent = [&](std::size_t i) {
    constexpr std::size_t kFirst = offsetof(nifti_1_header, dim);
    constexpr std::size_t kSecond = offsetof(nifti_2_header, dim);
    return second
               ? load_value<std::int64_t>(raw.data() + kSecond + i * sizeof(std::int64_t), reversed)
               : load_value<std::int16_t>(raw.data() + kFirst + i * sizeof(std::int16_t), reversed);
  };
  constexpr std::int64_t kMostDimensions = 7;
  if (extent(0) < 1 || extent(0) > kMostDimensions) {
    throw Error("claims " + std::to_string(extent(0)) + " dimensions", bytes.name(),
                "the header is damaged; make or copy the file again");
  }
  for (std::size_t i = 1; i <= static_cast<std::size_t>(extent(0)); ++i) {
    if (extent(i) >= 1) continue;
    throw Error("dimension " + std::to_string(i) + " is " + std::to_string(extent(i)), bytes.name(),
                "the header is damaged; make or copy the file again");
  }
  nifti_set_debug_level(0);  // the library's own messages
  NiftiImage image(second ? nifti_convert_n2hdr2nim(header.second, bytes.name().c_str())
                          : nifti_convert_n1hdr2nim(header.first, bytes.name().c_str()));
  if (!image) throw Error("libnifti refuses its header", bytes.name(), kNiftiAction);
  return {std::move(image), second, single_file, reversed};
}

/// The file that holds the values of a header in a file of its own: .img beside .hdr.
inline std::filesystem::path image_file(const std::filesystem::path& header) {
  const bool packed = header.extension() == ".gz";
  std::filesystem::path path = packed ? std::filesystem::path(header).replace_extension() : header;
  path.replace_extension(".img");
  if (std::filesystem::exists(path)) return path;
  return path += ".gz";
}

inline double seconds_of(const nifti_image& image) {
  constexpr double kMilli = 1e-3;
  constexpr double kMicro = 1e-6;
  const double unit = image.time_units == NIFTI_UNITS_MSEC   ? kMilli
                      : image.time_units == NIFTI_UNITS_USEC ? kMicro
                                                             : 1;
  return image.nt > 1 && std::isfinite(image.dt) && image.dt > 0 ? image.dt * unit : 0;
}

}  // namespace internal

/// A NIfTI-1 or NIfTI-2 file (.nii, .nii.gz, or .hdr with .img), of either byte order, opened for
/// reading one volume at a time.
class NiftiFile {
 public:
  /// Reads the header. Throws Error naming the file if it is missing, damaged, too short for what
  /// its header claims, has more than four dimensions, or holds colours or complex numbers.
  explicit NiftiFile(const std::filesystem::path& path)
      : bytes_(std::make_unique<internal::NiftiBytes>(path)) {
    const internal::NiftiHeader header = internal::read_nifti_header(*bytes_);
    if (!header.single_file)
      bytes_ = std::make_unique<internal::NiftiBytes>(internal::image_file(path));
    read_layout(header);
    read_space(*header.image);
  }

  [[nodiscard]] const std::string& name() const { return bytes_->name(); }
  [[nodiscard]] const VolumeGrid& grid() const { return grid_; }
  /// Volumes over time; 1 for a three-dimensional file.
  [[nodiscard]] std::size_t volumes() const { return volumes_; }
  /// Time between volumes, seconds; 0 where the header says nothing.
  [[nodiscard]] double tr_s() const { return tr_s_; }
  /// Where the affine comes from: "sform", "qform", or "voxel sizes" (of a file that is placed in
  /// no space).
  [[nodiscard]] const std::string& affine_source() const { return affine_source_; }
  /// The voxels' type in the file, as libnifti names it ("INT16").
  [[nodiscard]] const std::string& type() const { return type_; }

  /// Volume t, [z, y, x], scaled by the header's slope and intercept in float64 and rounded to
  /// float. Quickest in order of time. Throws Error when the file ends within it.
  [[nodiscard]] std::vector<float> read(std::size_t t) {
    if (t >= volumes_) {
      throw Error("volume " + std::to_string(t) + " of " + std::to_string(volumes_), name(),
                  "volumes count from 0");
    }
    std::vector<std::byte> raw(grid_.size() * item_bytes_);
    bytes_->read_at(offset_ + t * raw.size(), raw);
    std::vector<float> values(grid_.size());
    convert(raw, values);
    return values;
  }

 private:
  void read_layout(const internal::NiftiHeader& header) {
    const nifti_image& image = *header.image;
    // Extents beyond the number of dimensions mean nothing.
    const auto extent = [&](int axis) {
      return image.ndim >= axis ? static_cast<std::size_t>(image.dim[axis]) : 1;
    };
    if (extent(5) > 1 || extent(6) > 1 || extent(7) > 1) {
      throw Error("has " + std::to_string(image.ndim) + " dimensions", name(),
                  "give a file of three or four");
    }
    grid_.shape = {extent(1), extent(2), extent(3)};
    volumes_ = extent(4);
    datatype_ = image.datatype;
    type_ = nifti_datatype_string(datatype_);
    reversed_ = header.reversed;
    item_bytes_ = static_cast<std::size_t>(image.nbyper);
    slope_ = image.scl_slope;
    intercept_ = image.scl_inter;
    // The standard: a slope of 0 means that there is no scaling.
    if (slope_ == 0 || !std::isfinite(slope_) || !std::isfinite(intercept_)) {
      slope_ = 1;
      intercept_ = 0;
    }
    std::array<float, 1> none{};
    convert({}, std::span(none).first(0));  // throws for a type that holds no plain numbers
    // Header and the four bytes that announce extensions: the least that the standards allow.
    constexpr std::int64_t kFirst = 352;
    constexpr std::int64_t kSecond = 544;
    const std::int64_t least = !header.single_file ? 0 : header.second ? kSecond : kFirst;
    if (image.iname_offset < least) {
      throw Error("claims that its values start at byte " + std::to_string(image.iname_offset),
                  name(), "the header is damaged; make or copy the file again");
    }
    offset_ = static_cast<std::uint64_t>(image.iname_offset);
    std::uint64_t needed = item_bytes_;
    for (const std::uint64_t n : {grid_.shape[0], grid_.shape[1], grid_.shape[2], volumes_}) {
      needed = checked_product(needed, n, name());
    }
    if (__builtin_add_overflow(needed, offset_, &needed) || !bytes_->can_hold(needed)) {
      throw Error("its header claims " + std::to_string(needed) + " bytes, more than the file has",
                  name(), "it is cut short or damaged; make or copy it again");
    }
  }

  void read_space(const nifti_image& image) {
    affine_source_ = image.sform_code > 0   ? "sform"
                     : image.qform_code > 0 ? "qform"
                                            : "voxel sizes";
    const nifti_dmat44& matrix = image.sform_code > 0 ? image.sto_xyz : image.qto_xyz;
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 4; ++j) grid_.affine.rows[i][j] = matrix.m[i][j];
    }
    if (!grid_.affine.invertible()) {
      throw Error("its affine (" + affine_source_ + ") gives voxels without volume", name(),
                  "correct the header");
    }
    tr_s_ = internal::seconds_of(image);
  }

  template <class Raw>
  void convert_as(std::span<const std::byte> raw, std::span<float> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const Raw value = load_value<Raw>(raw.data() + i * sizeof(Raw), reversed_);
      out[i] = static_cast<float>(static_cast<double>(value) * slope_ + intercept_);
    }
  }

  void convert(std::span<const std::byte> raw, std::span<float> out) const {
    switch (datatype_) {
      case NIFTI_TYPE_UINT8:
        return convert_as<std::uint8_t>(raw, out);
      case NIFTI_TYPE_INT8:
        return convert_as<std::int8_t>(raw, out);
      case NIFTI_TYPE_INT16:
        return convert_as<std::int16_t>(raw, out);
      case NIFTI_TYPE_UINT16:
        return convert_as<std::uint16_t>(raw, out);
      case NIFTI_TYPE_INT32:
        return convert_as<std::int32_t>(raw, out);
      case NIFTI_TYPE_UINT32:
        return convert_as<std::uint32_t>(raw, out);
      case NIFTI_TYPE_INT64:
        return convert_as<std::int64_t>(raw, out);
      case NIFTI_TYPE_UINT64:
        return convert_as<std::uint64_t>(raw, out);
      case NIFTI_TYPE_FLOAT32:
        return convert_as<float>(raw, out);
      case NIFTI_TYPE_FLOAT64:
        return convert_as<double>(raw, out);
      default:
        throw Error("holds values of type " + type_, name(), "give integers or real numbers");
    }
  }

  std::unique_ptr<internal::NiftiBytes> bytes_;
  VolumeGrid grid_;
  std::size_t volumes_ = 1;
  double tr_s_ = 0;
  std::string affine_source_;
  std::string type_;
  int datatype_ = 0;
  std::size_t item_bytes_ = 0;
  bool reversed_ = false;
  double slope_ = 1;
  double intercept_ = 0;
  std::uint64_t offset_ = 0;
};

/// The only volume of a file. Throws Error, naming the file, if it holds several.
inline Volume load_volume(const std::filesystem::path& path) {
  NiftiFile file(path);
  if (file.volumes() != 1) {
    throw Error("holds " + std::to_string(file.volumes()) + " volumes", file.name(),
                "give a file of one volume");
  }
  Volume volume{file.grid(), {}};
  volume.values = file.read(0);
  return volume;
}

/// Writes volumes on one grid as a NIfTI-1 file of float32, compressed if it is named .nii.gz; the
/// affine becomes the sform with code 2 ("aligned"). values: [volumes, z, y, x]; tr_s: seconds
/// between volumes, 0: none. The file appears under its name only when complete. Throws Error for
/// another name, a wrong number of values, or when it cannot be written.
inline void save_nifti(const std::filesystem::path& path, const VolumeGrid& grid,
                       std::span<const float> values, double tr_s = 0) {
  const std::string name = path.string();
  const bool packed = name.ends_with(".nii.gz");
  if (!packed && !name.ends_with(".nii")) {
    throw Error("not named .nii or .nii.gz", name, "rename the output");
  }
  const std::size_t volumes = grid.size() == 0 ? 0 : values.size() / grid.size();
  constexpr std::size_t kLargest = 32767;  // NIfTI-1 has 16 bits for an extent
  const bool fits = std::max({grid.shape[0], grid.shape[1], grid.shape[2], volumes}) <= kLargest;
  if (volumes == 0 || volumes * grid.size() != values.size() || !fits) {
    throw Error(std::to_string(values.size()) + " values for " + grid_text(grid), name,
                "give whole volumes of at most 32767 voxels a side");
  }
  const std::array<std::int64_t, 8> dims = {volumes > 1 ? 4 : 3,
                                            static_cast<std::int64_t>(grid.shape[0]),
                                            static_cast<std::int64_t>(grid.shape[1]),
                                            static_cast<std::int64_t>(grid.shape[2]),
                                            static_cast<std::int64_t>(volumes),
                                            1,
                                            1,
                                            1};
  const std::unique_ptr<nifti_1_header, decltype(&std::free)> header(
      nifti_make_new_n1_header(dims.data(), NIFTI_TYPE_FLOAT32), &std::free);
  if (!header) throw Error("libnifti makes no header", name, "give a volume of a usual size");
  constexpr float kDataBegin = 352;  // header and four bytes that say: no extensions
  header->vox_offset = kDataBegin;
  header->sform_code = NIFTI_XFORM_ALIGNED_ANAT;
  header->scl_slope = 1;
  header->xyzt_units = NIFTI_UNITS_MM | NIFTI_UNITS_SEC;
  std::memcpy(header->magic, "n+1", 4);
  const Point3 size = grid.affine.voxel_size();
  const std::array<float*, 3> rows = {header->srow_x, header->srow_y, header->srow_z};
  for (std::size_t i = 0; i < 3; ++i) {
    header->pixdim[i + 1] = static_cast<float>(size[i]);
    for (std::size_t j = 0; j < 4; ++j) rows[i][j] = static_cast<float>(grid.affine.rows[i][j]);
  }
  header->pixdim[4] = static_cast<float>(tr_s);
  TemporaryOutput output(path);
  internal::Znz file(znzopen(output.temporary().c_str(), "wb", packed ? 1 : 0));
  bool written = file != nullptr;
  const auto write = [&](std::span<const std::byte> bytes) {
    constexpr std::size_t kPiece = std::size_t{1} << 26U;  // zlib counts in 32 bits
    for (std::size_t at = 0; written && at < bytes.size(); at += kPiece) {
      const std::size_t count = std::min(kPiece, bytes.size() - at);
      written = znzwrite(bytes.data() + at, 1, count, file.get()) == count;
    }
  };
  constexpr std::array<std::byte, 4> kNoExtensions{};
  write(std::as_bytes(std::span(header.get(), 1)));
  write(kNoExtensions);
  write(std::as_bytes(values));
  znzptr* opened = file.release();
  if (opened != nullptr) written = znzclose(opened) == 0 && written;
  if (!written) {
    throw Error("cannot write", name, "check that the folder exists, is writable and has space");
  }
  output.commit();
}

}  // namespace VID2VOX::io
