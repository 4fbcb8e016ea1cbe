#pragma once

#include <zip.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xarray.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/npy.hpp"

namespace VID2VOX::io {

/// A numpy archive (.npz, from numpy.savez or savez_compressed), opened for reading.
class NpzFile {
 public:
  /// Throws Error naming the file if it is missing, no zip archive, cut short, or holds no arrays.
  explicit NpzFile(const std::filesystem::path& path)
      : name_(path.string()), bytes_(RandomAccessFile(path).size()) {
    int code = 0;
    archive_.reset(zip_open(name_.c_str(), ZIP_RDONLY, &code));
    if (!archive_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = zip_error_strerror(&error);
      zip_error_fini(&error);
      throw Error("not an npz file, or one that is cut short: " + reason, name_,
                  "make or copy the file again");
    }
    const zip_int64_t entries = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < entries; ++i) {
      const char* entry = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
      const std::string text = entry != nullptr ? entry : "";
      if (text.ends_with(kExtension)) {
        names_.push_back(text.substr(0, text.size() - kExtension.size()));
      }
    }
    if (names_.empty()) throw Error("holds no arrays", name_, "give a file written by numpy.savez");
  }

  /// Names of the arrays, without ".npy", in the order of the archive.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// One array as T (see read_npy); an empty name means the only one. Throws Error naming file and
  /// array if there is none of that name, if the name is left out but there are several, or if the
  /// array is damaged.
  template <class T = float>
  [[nodiscard]] xt::xarray<T> read(std::string array = "") const {
    if (array.empty() && names_.size() == 1) array = names_[0];
    if (array.ends_with(kExtension)) array.resize(array.size() - kExtension.size());
    if (std::find(names_.begin(), names_.end(), array) == names_.end()) {
      std::string list;
      for (const std::string& known : names_) list += (list.empty() ? "" : ", ") + known;
      throw Error(array.empty() ? "several arrays and no name given" : "no array '" + array + "'",
                  name_, "choose one of: " + list);
    }
    const std::vector<std::byte> content = extract(array);
    return read_npy<T>(MemoryBytes(content, name_ + ":" + array));
  }

 private:
  static constexpr std::string_view kExtension = ".npy";
  struct Discard {
    void operator()(zip_t* archive) const { zip_discard(archive); }
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };

  [[nodiscard]] std::vector<std::byte> extract(const std::string& array) const {
    const std::string where = name_ + ":" + array;
    const std::string action = "the archive is damaged; make or copy it again";
    const std::string entry = array + std::string(kExtension);
    zip_stat_t information;
    zip_stat_init(&information);
    if (zip_stat(archive_.get(), entry.c_str(), 0, &information) != 0 ||
        (information.valid & ZIP_STAT_SIZE) == 0) {
      throw Error(std::string("cannot read: ") + zip_strerror(archive_.get()), where, action);
    }
    constexpr std::uint64_t kLargestRatio = 1032;  // deflate cannot shrink data further
    if (information.size / kLargestRatio > bytes_) {
      throw Error("claims " + std::to_string(information.size) + " bytes, which an archive of " +
                      std::to_string(bytes_) + " cannot hold",
                  where, action);
    }
    const std::unique_ptr<zip_file_t, Discard> file(zip_fopen(archive_.get(), entry.c_str(), 0));
    if (!file) {
      throw Error(std::string("cannot read: ") + zip_strerror(archive_.get()), where, action);
    }
    std::vector<std::byte> content(static_cast<std::size_t>(information.size));
    std::size_t done = 0;
    // One read beyond the end makes libzip compare the checksum.
    for (bool more = true; more;) {
      std::byte beyond{};
      const bool full = done == content.size();
      const zip_int64_t got = zip_fread(file.get(), full ? &beyond : content.data() + done,
                                        full ? 1 : content.size() - done);
      if (got < 0) {
        throw Error(std::string("cannot unpack: ") + zip_file_strerror(file.get()), where, action);
      }
      if (full != (got == 0)) throw Error("has not the size it claims", where, action);
      done += static_cast<std::size_t>(got);
      more = !full;
    }
    return content;
  }

  std::string name_;
  std::uint64_t bytes_;
  std::unique_ptr<zip_t, Discard> archive_;
  std::vector<std::string> names_;
};

/// One array of an npz file; an empty name means the only one.
template <class T = float>
xt::xarray<T> load_npz(const std::filesystem::path& path, const std::string& array = "") {
  return NpzFile(path).read<T>(array);
}

}  // namespace VID2VOX::io
