#pragma once

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xarray.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"

// Owners and error conversion for HDF5's C interface.

namespace VID2VOX::io {

namespace internal {

/// HDF5 is commonly built without support for threads, so every call of ours happens under one
/// lock. While it is held, HDF5's own printing of errors is off.
class Hdf5Lock {
 public:
  Hdf5Lock() : lock_(guard()) {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  Hdf5Lock(const Hdf5Lock&) = delete;
  Hdf5Lock& operator=(const Hdf5Lock&) = delete;
  ~Hdf5Lock() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  static std::recursive_mutex& guard() {
    static std::recursive_mutex mutex;
    return mutex;
  }
  std::scoped_lock<std::recursive_mutex> lock_;
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// The innermost message of HDF5's error stack.
inline std::string hdf5_message() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned /*depth*/, const H5E_error2_t* error, void* out) -> herr_t {
        auto& message = *static_cast<std::string*>(out);
        if (message.empty() && error->desc != nullptr) message = error->desc;
        return 0;
      },
      &text);
  return text.empty() ? "HDF5 failed" : text;
}

/// Owns one HDF5 identifier and closes it with Close.
template <herr_t (*Close)(hid_t)>
class Hdf5Handle {
 public:
  /// Throws Error with HDF5's own reason if the identifier is invalid.
  Hdf5Handle(hid_t id, const std::string& problem, const std::string& where,
             const std::string& action)
      : id_(id) {
    if (id < 0) throw Error(problem + ": " + hdf5_message(), where, action);
  }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(Hdf5Handle&&) = delete;
  ~Hdf5Handle() {
    if (id_ < 0) return;
    const Hdf5Lock lock;
    Close(id_);
  }
  [[nodiscard]] hid_t id() const { return id_; }

 private:
  hid_t id_;
};

using Hdf5FileHandle = Hdf5Handle<H5Fclose>;
using Hdf5DatasetHandle = Hdf5Handle<H5Dclose>;
using Hdf5SpaceHandle = Hdf5Handle<H5Sclose>;
using Hdf5TypeHandle = Hdf5Handle<H5Tclose>;
using Hdf5ObjectHandle = Hdf5Handle<H5Oclose>;

inline constexpr const char* kHdf5Action = "check the file with h5dump, or make it again";

template <class T>
hid_t hdf5_type();
template <>
inline hid_t hdf5_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
inline hid_t hdf5_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
inline hid_t hdf5_type<std::int64_t>() {
  return H5T_NATIVE_INT64;
}

}  // namespace internal

/// An array inside an HDF5 file: its shape, its kind of numbers, and reading of parts.
class Hdf5Dataset {
 public:
  enum class Kind : std::uint8_t { kFloat, kSigned, kUnsigned, kOther };

  /// Throws Error naming file and dataset if there is none of that name.
  Hdf5Dataset(hid_t file, const std::string& name, std::string where)
      : where_(std::move(where)),
        dataset_(H5Dopen2(file, name.c_str(), H5P_DEFAULT), "no such dataset", where_,
                 "give the dataset's full path inside the file") {
    const internal::Hdf5Lock lock;
    const internal::Hdf5SpaceHandle space(H5Dget_space(dataset_.id()), "no dataspace", where_,
                                          internal::kHdf5Action);
    const int rank = H5Sget_simple_extent_ndims(space.id());
    if (rank < 0) throw Error("no array", where_, internal::kHdf5Action);
    shape_.resize(static_cast<std::size_t>(rank));
    H5Sget_simple_extent_dims(space.id(), shape_.data(), nullptr);
    const internal::Hdf5TypeHandle type(H5Dget_type(dataset_.id()), "no data type", where_,
                                        internal::kHdf5Action);
    item_bytes_ = H5Tget_size(type.id());
    const H5T_class_t group = H5Tget_class(type.id());
    if (group == H5T_FLOAT) kind_ = Kind::kFloat;
    if (group == H5T_INTEGER) {
      kind_ = H5Tget_sign(type.id()) == H5T_SGN_NONE ? Kind::kUnsigned : Kind::kSigned;
    }
  }

  [[nodiscard]] const std::vector<hsize_t>& shape() const { return shape_; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] std::size_t item_bytes() const { return item_bytes_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] bool is_bytes() const { return kind_ == Kind::kUnsigned && item_bytes_ == 1; }
  [[nodiscard]] std::string shape_text() const {
    std::string text = "[";
    for (const hsize_t extent : shape_) {
      text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
    }
    return text + "]";
  }

  /// Rows first .. first+count-1 of the first axis. out: exactly their values, converted to T.
  template <class T>
  void read_rows(hsize_t first, hsize_t count, std::span<T> out) const {
    std::vector<hsize_t> start(shape_.size(), 0);
    std::vector<hsize_t> extent = shape_;
    start.at(0) = first;
    extent[0] = count;
    read_block(start, extent, out);
  }

  /// The block of this extent [one for each axis] from `start` on. out: exactly its values,
  /// converted to T.
  template <class T>
  void read_block(const std::vector<hsize_t>& start, const std::vector<hsize_t>& extent,
                  std::span<T> out) const {
    const internal::Hdf5Lock lock;
    bool inside = start.size() == shape_.size() && extent.size() == shape_.size();
    std::uint64_t values = 1;
    for (std::size_t axis = 0; inside && axis < shape_.size(); ++axis) {
      values = checked_product(values, extent[axis], where_);
      inside = start[axis] <= shape_[axis] && extent[axis] <= shape_[axis] - start[axis];
    }
    if (!inside || values != out.size()) {
      const hsize_t first = start.empty() ? 0 : start[0];
      throw Error("rows " + std::to_string(first) + " to " +
                      std::to_string(first + (extent.empty() ? 0 : extent[0])) + " (excluded) of " +
                      shape_text() + " do not fill " + std::to_string(out.size()) + " values",
                  where_, "ask for rows and columns that exist");
    }
    if (values == 0) return;
    const internal::Hdf5SpaceHandle source(H5Dget_space(dataset_.id()), "no dataspace", where_,
                                           internal::kHdf5Action);
    const internal::Hdf5SpaceHandle target(
        H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), "no dataspace",
        where_, internal::kHdf5Action);
    H5Sselect_hyperslab(source.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
    if (H5Dread(dataset_.id(), internal::hdf5_type<T>(), target.id(), source.id(), H5P_DEFAULT,
                out.data()) < 0) {
      throw Error("cannot read: " + internal::hdf5_message(), where_, internal::kHdf5Action);
    }
  }

  /// All values, converted to T. file_bytes: size of the file, against which the claimed size is
  /// checked before anything is allocated.
  template <class T>
  [[nodiscard]] xt::xarray<T> read_all(std::uint64_t file_bytes) const {
    if (kind_ == Kind::kOther) {
      throw Error("does not hold numbers", where_, "give a dataset of floats or integers");
    }
    std::uint64_t bytes = std::max<std::uint64_t>(item_bytes_, sizeof(T));
    for (const hsize_t extent : shape_) bytes = checked_product(bytes, extent, where_);
    // Deflate, the strongest of HDF5's usual filters, cannot shrink data more than 1032 times.
    constexpr std::uint64_t kLargestRatio = 1032;
    if (bytes / kLargestRatio > file_bytes) {
      throw Error("claims " + std::to_string(bytes) + " bytes, which a file of " +
                      std::to_string(file_bytes) + " cannot hold",
                  where_, internal::kHdf5Action);
    }
    const std::vector<std::size_t> shape(shape_.begin(), shape_.end());
    xt::xarray<T> values = xt::xarray<T>::from_shape(shape);
    const internal::Hdf5Lock lock;
    if (values.size() > 0 && H5Dread(dataset_.id(), internal::hdf5_type<T>(), H5S_ALL, H5S_ALL,
                                     H5P_DEFAULT, values.data()) < 0) {
      throw Error("cannot read: " + internal::hdf5_message(), where_, internal::kHdf5Action);
    }
    return values;
  }

 private:
  std::string where_;
  internal::Hdf5DatasetHandle dataset_;
  std::vector<hsize_t> shape_;
  Kind kind_ = Kind::kOther;
  std::size_t item_bytes_ = 0;
};

/// An HDF5 file opened for reading.
class Hdf5File {
 public:
  /// Throws Error naming the file if it is missing or no (whole) HDF5 file.
  explicit Hdf5File(const std::filesystem::path& path)
      : name_(path.string()), bytes_(RandomAccessFile(path).size()), file_(open(name_)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  [[nodiscard]] Hdf5Dataset dataset(const std::string& dataset) const {
    const internal::Hdf5Lock lock;
    return {file_.id(), dataset, name_ + ":" + dataset};
  }

  /// Whether the root group has an entry of this name.
  [[nodiscard]] bool contains(const std::string& entry) const {
    const internal::Hdf5Lock lock;
    return H5Lexists(file_.id(), entry.c_str(), H5P_DEFAULT) > 0;
  }

  /// Full paths of all datasets at most `depth` groups deep whose last part is `leaf` (any, if
  /// empty), sorted.
  [[nodiscard]] std::vector<std::string> datasets(const std::string& leaf = "",
                                                  int depth = kDefaultDepth) const {
    const internal::Hdf5Lock lock;
    std::vector<std::string> found;
    search(file_.id(), "", leaf, depth, found);
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  static constexpr int kDefaultDepth = 8;

  static internal::Hdf5FileHandle open(const std::string& name) {
    const internal::Hdf5Lock lock;
    return {H5Fopen(name.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT),
            "not an HDF5 file, or one that is cut short", name, internal::kHdf5Action};
  }

  void search(hid_t group, const std::string& prefix, const std::string& leaf, int depth,
              std::vector<std::string>& found) const {
    H5G_info_t information = {};
    if (depth < 0 || H5Gget_info(group, &information) < 0) return;
    for (hsize_t i = 0; i < information.nlinks; ++i) {
      const ssize_t length =
          H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
      if (length < 0)
        throw Error("cannot list: " + internal::hdf5_message(), name_, internal::kHdf5Action);
      std::string entry(static_cast<std::size_t>(length) + 1, '\0');
      H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, entry.data(), entry.size(),
                         H5P_DEFAULT);
      entry.pop_back();
      const hid_t opened = H5Oopen(group, entry.c_str(), H5P_DEFAULT);
      if (opened < 0) continue;  // a link that leads nowhere
      const internal::Hdf5ObjectHandle object(opened, "", name_, "");
      const std::string path = prefix.empty() ? entry : prefix + "/" + entry;
      const H5I_type_t type = H5Iget_type(object.id());
      if (type == H5I_GROUP) search(object.id(), path, leaf, depth - 1, found);
      if (type == H5I_DATASET && (leaf.empty() || entry == leaf)) found.push_back(path);
    }
  }

  std::string name_;
  std::uint64_t bytes_;
  internal::Hdf5FileHandle file_;
};

/// A whole dataset of numbers as float. Throws Error naming file and dataset.
inline xt::xarray<float> load_hdf5_array(const std::filesystem::path& path,
                                         const std::string& dataset) {
  const Hdf5File file(path);
  return file.dataset(dataset).read_all<float>(file.bytes());
}

}  // namespace VID2VOX::io
