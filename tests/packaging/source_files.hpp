#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

// The sources as text, for the tests of the rules that they keep.

namespace vid2vox::testing {

inline std::filesystem::path source_dir() { return VID2VOX_SOURCE_DIR; }

inline std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// What is between the brackets or quotes of each include directive.
inline std::vector<std::string> includes_of(const std::string& text) {
  static const std::regex kDirective(R"((?:^|\n)[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"])");
  std::vector<std::string> result;
  for (std::sregex_iterator at(text.begin(), text.end(), kDirective), end; at != end; ++at) {
    result.push_back((*at)[1]);
  }
  return result;
}

/// The C++ and CUDA sources under a folder of the repository, as paths from its root.
inline std::vector<std::string> sources_under(const std::string& folder) {
  std::vector<std::string> result;
  if (!std::filesystem::exists(source_dir() / folder)) return result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_dir() / folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".hpp" || extension == ".cpp" || extension == ".cuh" || extension == ".cu") {
      result.push_back(std::filesystem::relative(entry.path(), source_dir()).generic_string());
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// Every header of the library, as it is included.
inline std::vector<std::string> library_headers() {
  std::vector<std::string> result = sources_under("include");
  for (std::string& header : result) header.erase(0, std::string("include/").size());
  return result;
}

/// Whether users may include it.
inline bool is_public(const std::string& header) {
  return header.find("/internal/") == std::string::npos;
}

}  // namespace vid2vox::testing
