#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace vid2vox::bench {

/// A folder for a test's files that is removed at the end.
class Folder {
 public:
  Folder() {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  /// Makes the folders on the way, too.
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("vid2vox-report-" + std::to_string(getpid()));
};

}  // namespace vid2vox::bench
