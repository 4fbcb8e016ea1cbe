#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::io {

/// A regular file read by position (pread), so that one object serves several threads and nothing
/// but the bytes asked for is held in memory.
class RandomAccessFile {
 public:
  /// Throws Error if the path is missing, unreadable or no regular file.
  explicit RandomAccessFile(const std::filesystem::path& path) : name_(path.string()) {
    descriptor_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw Error(std::string("cannot open: ") + std::strerror(errno), name_,
                  "check the path and its permissions");
    }
    struct stat information = {};
    if (::fstat(descriptor_, &information) != 0 || !S_ISREG(information.st_mode)) {
      ::close(descriptor_);
      throw Error("not a regular file", name_, "give the path of a file");
    }
    size_ = static_cast<std::uint64_t>(information.st_size);
  }
  RandomAccessFile(RandomAccessFile&& other) noexcept
      : name_(std::move(other.name_)),
        size_(other.size_),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(RandomAccessFile&&) = delete;
  ~RandomAccessFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Fills `out` with the bytes from `offset` on. Throws Error if the file ends before.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        throw Error(std::string("cannot read: ") + std::strerror(errno), name_, "check the disk");
      }
      if (got == 0) {
        throw Error("the file ends at byte " + std::to_string(offset + done) + ", but " +
                        std::to_string(out.size() - done) + " more bytes were expected",
                    name_, "the file is truncated; make or copy it again");
      }
      done += static_cast<std::size_t>(got);
    }
  }

 private:
  std::string name_;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

/// Bytes in memory behind the same interface as RandomAccessFile.
class MemoryBytes {
 public:
  MemoryBytes(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      throw Error("the data end at byte " + std::to_string(bytes_.size()), name_,
                  "the file is truncated; make or copy it again");
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

/// A temporary name beside `path`. commit() renames it to `path`; without commit the destructor
/// removes it, so that no partial output is left behind. The name keeps the extension, because some
/// writers choose their format by it.
class TemporaryOutput {
 public:
  explicit TemporaryOutput(std::filesystem::path path) : path_(std::move(path)) {
    static std::atomic<unsigned> counter{0};
    std::string name = ".";
    name += path_.stem().string() + "." + std::to_string(::getpid()) + "-";
    name += std::to_string(counter++) + ".tmp" + path_.extension().string();
    temporary_ = path_.parent_path() / name;
  }
  TemporaryOutput(const TemporaryOutput&) = delete;
  TemporaryOutput& operator=(const TemporaryOutput&) = delete;
  ~TemporaryOutput() {
    if (committed_) return;
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }

  void commit() {
    std::error_code failure;
    std::filesystem::rename(temporary_, path_, failure);
    if (failure) {
      throw Error("cannot write: " + failure.message(), path_.string(),
                  "check that the folder exists and is writable");
    }
    committed_ = true;
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// Writes a file in pieces under a temporary name; commit() makes it appear as `path`.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path)
      : output_(path), stream_(output_.temporary(), std::ios::binary | std::ios::trunc) {
    check();
  }

  void write(std::span<const std::byte> bytes) {
    stream_.write(reinterpret_cast<const char*>(bytes.data()),
                  static_cast<std::streamsize>(bytes.size()));
    check();
  }
  void write(const std::string& text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  void commit() {
    stream_.close();
    check();
    output_.commit();
  }

 private:
  void check() const {
    if (!stream_) {
      throw Error("cannot write", output_.path().string(),
                  "check that the folder exists, is writable and has space");
    }
  }

  TemporaryOutput output_;
  std::ofstream stream_;
};

/// a * b, or an Error that says which size overflows.
inline std::uint64_t checked_product(std::uint64_t a, std::uint64_t b, const std::string& where) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw Error("the size " + std::to_string(a) + " * " + std::to_string(b) + " overflows", where,
                "the file is damaged; make or copy it again");
  }
  return product;
}

}  // namespace VID2VOX::io
