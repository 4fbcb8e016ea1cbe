#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

namespace vid2vox::testing {

/// Files that ship with the tests.
inline std::filesystem::path reference_file(const std::string& name) {
  return std::filesystem::path(VID2VOX_TEST_REFERENCE_DIR) / name;
}

/// A file of the real recordings, which are not part of the repository: below VID2VOX_TEST_DATA,
/// else in the folder that developers keep beside the checkout. Prints "[skipped]" (which ctest
/// reports as a skip) and returns nothing when it is absent.
inline std::optional<std::filesystem::path> real_data(const std::string& relative) {
  const char* folder = std::getenv("VID2VOX_TEST_DATA");
  const std::filesystem::path base =
      folder != nullptr
          ? std::filesystem::path(folder)
          : std::filesystem::path(VID2VOX_SOURCE_DIR).parent_path() / "shared" / "data";
  if (std::filesystem::exists(base / relative)) return base / relative;
  std::cout << "[skipped] " << (base / relative)
            << " is absent; set VID2VOX_TEST_DATA to the folder of the real recordings\n";
  return std::nullopt;
}

/// A fresh folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vid2vox-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace vid2vox::testing
