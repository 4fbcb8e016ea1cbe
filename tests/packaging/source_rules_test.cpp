// Rules that the sources keep (docs/architecture.md): which folder may include which, where Eigen
// may appear, how long a file may be, what the umbrella header holds.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "packaging/source_files.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

namespace fs = std::filesystem;

using vid2vox::testing::content;
using vid2vox::testing::includes_of;
using vid2vox::testing::is_public;
using vid2vox::testing::library_headers;
using vid2vox::testing::source_dir;
using vid2vox::testing::sources_under;

/// Room of include/vid2vox -> the rooms that it may include besides itself.
const std::map<std::string, std::set<std::string>>& arrows() {
  static const std::map<std::string, std::set<std::string>> kArrows{
      {"core", {}},
      {"linalg", {"core"}},
      {"ops", {"core", "linalg"}},
      {"backend", {"core", "linalg", "ops"}},
      {"layers", {"core", "ops"}},
      {"models", {"core", "ops", "layers"}},
      {"training", {"core", "ops", "layers", "models", "io"}},  // io: checkpoints
      {"io", {"core"}},
      {"imaging", {"core", "io"}},
      {"report", {"core", "io", "imaging"}},  // io: pictures that are videos
      {"stimulus", {"core", "io"}},
      {"encoding", {"core", "linalg"}},
      {"pipeline",
       {"core", "linalg", "ops", "layers", "models", "training", "io", "imaging", "stimulus",
        "encoding"}},
  };
  return kArrows;
}

std::string folder_of(const std::string& header) {  // "vid2vox/core/error.hpp" -> "core"
  const auto first = header.find('/');
  const auto second = header.find('/', first + 1);
  return second == std::string::npos ? "" : header.substr(first + 1, second - first - 1);
}

/// Headers of the CUDA toolkit, cuBLAS and cuDNN.
bool of_cuda_toolkit(const std::string& included) {
  static const std::regex kNames(
      R"((cuda|cublas|cusolver|cudnn|nccl|mma|cooperative_groups)[A-Za-z0-9_]*\.h)");
  return std::regex_match(included, kNames);
}

/// Complaints about a header's part in the CUDA backend: what any compiler reads (.hpp) is free of
/// CUDA, device code (.cuh) is part of the backend, and the two backends do not know each other.
std::vector<std::string> cuda_complaints(const std::string& header, const std::string& text) {
  std::vector<std::string> result;
  const bool device_code = header.ends_with(".cuh");
  const auto in = [](const std::string& name, const char* folder) {
    return name.starts_with(std::string("vid2vox/backend/") + folder + "/");
  };
  if (device_code && !in(header, "cuda")) {
    result.push_back(header + ": device code belongs to backend/cuda");
  }
  for (const std::string& included : includes_of(text)) {
    const bool reads_device_code = included.ends_with(".cuh") || of_cuda_toolkit(included);
    if ((reads_device_code && !device_code) || (in(header, "cuda") && in(included, "cpu")) ||
        (in(header, "cpu") && in(included, "cuda"))) {
      result.push_back(header + " may not include " + included);
    }
  }
  return result;
}

/// Complaints about one header of ours.
std::vector<std::string> complaints(const std::string& header, const std::string& text) {
  std::vector<std::string> result = cuda_complaints(header, text);
  const std::string folder = folder_of(header);
  if (folder.empty()) return result;  // the umbrella includes all
  const auto rule = arrows().find(folder);
  if (rule == arrows().end()) return {header + ": a folder without a rule"};
  for (const std::string& included : includes_of(text)) {
    if (included.starts_with("vid2vox/")) {
      const std::string target = folder_of(included);
      if (target != folder && !rule->second.contains(target)) {
        result.push_back(header + " may not include " + included);
      }
    }
    const bool linear_algebra =
        included.starts_with("Eigen/") || included.starts_with("unsupported/");
    if (linear_algebra && !header.starts_with("vid2vox/backend/cpu/") && folder != "linalg" &&
        folder != "encoding" && folder != "pipeline") {
      result.push_back(header + " may not include " + included);
    }
    if (included == "omp.h" && header != "vid2vox/core/parallel.hpp") {
      result.push_back(header + ": threads are started by core/parallel.hpp only");
    }
  }
  if (text.find("#pragma once") == std::string::npos)
    result.push_back(header + ": no #pragma once");
  return result;
}

/// Complaints about what a source outside of the library includes: src/ nothing of the programs and
/// the demo, which are built on it, and the demo nothing of the programs.
std::vector<std::string> program_complaints(const std::string& source, const std::string& text) {
  std::vector<std::string> result;
  const auto starts = [](const std::string& included, std::initializer_list<const char*> folders) {
    return std::any_of(folders.begin(), folders.end(),
                       [&](const char* folder) { return included.starts_with(folder); });
  };
  for (const std::string& included : includes_of(text)) {
    const bool wrong =
        (source.starts_with("src/") && starts(included, {"examples/", "programs/", "demo/"})) ||
        (source.starts_with("examples/demo/") &&
         starts(included, {"examples/programs/", "programs/", "../"}));
    if (wrong) result.push_back(source + " may not include " + included);
  }
  return result;
}

/// Header -> the components that it needs, by the build.
using HeaderComponents = std::map<std::string, std::set<std::string>>;
/// Component -> what its umbrella header includes.
using Umbrellas = std::map<std::string, std::set<std::string>>;

/// Complaints unless each public header is in exactly one umbrella of the components that it needs,
/// and umbrellas include nothing else.
std::vector<std::string> umbrella_complaints(const HeaderComponents& headers,
                                             const Umbrellas& umbrellas) {
  std::vector<std::string> result;
  for (const auto& [header, components] : headers) {
    std::size_t listed = 0;
    for (const std::string& component : components) {
      const auto umbrella = umbrellas.find(component);
      if (umbrella != umbrellas.end()) listed += umbrella->second.count(header);
    }
    const std::size_t expected = is_public(header) ? 1 : 0;
    if (listed != expected) {
      result.push_back(header + " is in " + std::to_string(listed) + " umbrellas");
    }
  }
  for (const auto& [component, included] : umbrellas) {
    for (const std::string& header : included) {
      const auto known = headers.find(header);
      if (known == headers.end() || !known->second.contains(component)) {
        result.push_back(component + ".hpp includes " + header);
      }
    }
  }
  return result;
}

/// The headers that need components, umbrellas aside.
HeaderComponents headers_of_components() {
  HeaderComponents result;
  std::ifstream list(VID2VOX_COMPONENT_LIST);
  for (std::string line; std::getline(list, line);) {
    std::istringstream fields(line);
    std::string header;
    fields >> header;
    if (folder_of(header).empty()) continue;
    for (std::string component; fields >> component;) result[header].insert(component);
  }
  return result;
}

}  // namespace

TEST_CASE("includes point the right way, and Eigen stays where it belongs") {
  const auto headers = library_headers();
  REQUIRE(headers.size() > 10);
  for (const std::string& header : headers) {
    for (const auto& complaint : complaints(header, content(source_dir() / "include" / header))) {
      FAIL_CHECK(complaint);
    }
  }
}

TEST_CASE("the runtime includes nothing of the programs, nor the demo of other programs") {
  for (const char* folder : {"src", "examples"}) {
    for (const std::string& source : sources_under(folder)) {
      for (const std::string& complaint :
           program_complaints(source, content(source_dir() / source))) {
        FAIL_CHECK(complaint);
      }
    }
  }
}

TEST_CASE("the rule of programs catches what it forbids") {
  const auto count = [](const std::string& source, const std::string& included) {
    return program_complaints(source, "#include \"" + included + "\"\n").size();
  };
  CHECK(count("src/vid2vox/runtime/a.cpp", "programs/run_main.hpp") == 1);
  CHECK(count("src/vid2vox/runtime/a.cpp", "demo/platform_game.hpp") == 1);
  CHECK(count("examples/demo/a.cpp", "programs/run_main.hpp") == 1);
  CHECK(count("examples/demo/a.cpp", "demo/platform_game.hpp") == 0);
  CHECK(count("examples/programs/demo.cpp", "demo/platform_game.hpp") == 0);
  CHECK(complaints("vid2vox/pipeline/a.hpp",
                   "#pragma once\n#include \"vid2vox/runtime/interrupt.hpp\"\n")
            .size() == 1);
}

TEST_CASE("the include rules catch what they forbid") {
  const std::string start = "#pragma once\n";
  CHECK(complaints("vid2vox/core/a.hpp", start + "#include \"vid2vox/ops/b.hpp\"\n").size() == 1);
  CHECK(complaints("vid2vox/layers/a.hpp", start + "#include \"vid2vox/backend/cpu/b.hpp\"\n")
            .size() == 1);
  CHECK(complaints("vid2vox/encoding/a.hpp", start + "#include \"vid2vox/io/npy.hpp\"\n").size() ==
        1);
  CHECK(complaints("vid2vox/layers/a.hpp", start + "  # include <Eigen/Core>\n").size() == 1);
  CHECK(complaints("vid2vox/io/a.hpp", start + "#include <omp.h>\n").size() == 1);
  CHECK(complaints("vid2vox/new/a.hpp", start).size() == 1);
  CHECK(complaints("vid2vox/core/a.hpp", "").size() == 1);
  CHECK(complaints("vid2vox/models/a.hpp", start + "#include \"vid2vox/layers/b.hpp\"\n").empty());
  CHECK(complaints("vid2vox/encoding/a.hpp", start + "#include <Eigen/Dense>\n").empty());
}

TEST_CASE("the CUDA rules catch what they forbid") {
  const auto count = [](const std::string& header, const std::string& included) {
    return complaints("vid2vox/" + header, "#pragma once\n#include <" + included + ">\n").size();
  };
  CHECK(count("backend/cuda/a/a.hpp", "vid2vox/backend/cuda/a/launch.cuh") == 1);
  CHECK(count("backend/cuda/a/a.hpp", "cuda_runtime_api.h") == 1);
  CHECK(count("training/a.hpp", "cublasLt.h") == 1);
  CHECK(count("backend/cuda/a/kernel.cuh", "vid2vox/backend/cpu/b.hpp") == 1);
  CHECK(count("backend/cuda/a/kernel.cuh", "Eigen/Core") == 1);
  CHECK(count("backend/cpu/a.hpp", "vid2vox/backend/cuda/b.hpp") == 1);
  CHECK(count("core/a.cuh", "vid2vox/core/b.hpp") == 1);
  CHECK(count("backend/cuda/a/launch.cuh", "cudnn.h") == 0);
  CHECK(count("backend/cuda/a/launch.cuh", "vid2vox/backend/cuda/a/kernel.cuh") == 0);
}

TEST_CASE("the CUDA backend never stores the name that means another stream in each thread") {
  for (const std::string& header : library_headers()) {
    INFO(header);
    CHECK(content(source_dir() / "include" / header).find("cudaStreamPerThread") ==
          std::string::npos);
  }
}

TEST_CASE("vid2vox.hpp includes every public header that needs no component, and no other") {
  std::set<std::string> expected;
  std::ifstream list(VID2VOX_HEADER_LIST);
  for (std::string line; std::getline(list, line);) {
    if (!line.empty() && is_public(line) && line != "vid2vox/vid2vox.hpp") expected.insert(line);
  }
  REQUIRE(expected.size() > 10);
  const auto included = includes_of(content(source_dir() / "include/vid2vox/vid2vox.hpp"));
  const std::set<std::string> actual(included.begin(), included.end());
  for (const std::string& header : expected) {
    if (!actual.contains(header)) FAIL_CHECK("vid2vox.hpp lacks " + header);
  }
  for (const std::string& header : actual) {
    if (!expected.contains(header)) FAIL_CHECK("vid2vox.hpp includes " + header);
  }
}

TEST_CASE("every header that needs a component is in one component's umbrella") {
  HeaderComponents headers = headers_of_components();
  Umbrellas umbrellas;
  for (auto& [header, components] : headers) {
    for (const std::string& component : components) {
      if (umbrellas.contains(component)) continue;
      const auto list =
          includes_of(content(source_dir() / "include/vid2vox" / (component + ".hpp")));
      umbrellas[component] = {list.begin(), list.end()};
      umbrellas[component].erase("vid2vox/vid2vox.hpp");
    }
  }
  for (const std::string& complaint : umbrella_complaints(headers, umbrellas)) {
    FAIL_CHECK(complaint);
  }
}

TEST_CASE("the rule of umbrellas catches what it forbids") {
  const HeaderComponents headers{{"vid2vox/io/a.hpp", {"video"}},
                                 {"vid2vox/io/b.hpp", {"arrays", "hdf5"}},
                                 {"vid2vox/io/internal/c.hpp", {"video"}}};
  const auto count = [&](const Umbrellas& umbrellas) {
    return umbrella_complaints(headers, umbrellas).size();
  };
  const std::set<std::string> a{"vid2vox/io/a.hpp"};
  const std::set<std::string> b{"vid2vox/io/b.hpp"};
  CHECK(count({{"video", a}, {"hdf5", b}}) == 0);
  CHECK(count({{"video", a}, {"hdf5", b}, {"arrays", b}}) == 1);  // twice
  CHECK(count({{"video", a}, {"hdf5", {}}}) == 1);                // b is missing
  CHECK(count({{"video", a}, {"hdf5", b}, {"lapack", b}}) == 1);  // not its component
  CHECK(count({{"video", {"vid2vox/io/a.hpp", "vid2vox/io/internal/c.hpp"}}, {"hdf5", b}}) == 1);
}

TEST_CASE("cuda.hpp and header_only.cuh include the whole CUDA backend") {
  const auto included_by = [](const std::string& header) {
    const auto list = includes_of(content(source_dir() / "include/vid2vox" / header));
    return std::set<std::string>(list.begin(), list.end());
  };
  const auto host = included_by("cuda.hpp");
  const auto device = included_by("backend/cuda/header_only.cuh");
  CHECK(host.contains("vid2vox/vid2vox.hpp"));
  for (const std::string& header : library_headers()) {
    if (!header.starts_with("vid2vox/backend/cuda/")) continue;
    if (header.ends_with(".hpp") && is_public(header) && !host.contains(header))
      FAIL_CHECK("cuda.hpp lacks " + header);
    if (header.ends_with("launch.cuh") && !device.contains(header)) {
      FAIL_CHECK("header_only.cuh lacks " + header);
    }
  }
}

TEST_CASE("no test has a name that CMake takes for a list or Catch2 for an option") {
  const std::regex name("TEST_CASE\\(\\s*\"([^\"]*)\"");
  std::size_t seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source_dir() / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = content(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), name), end; match != end; ++match) {
      ++seen;
      const std::string title = (*match)[1].str();
      // ctest would run two tests that name no case, and call them passed.
      if (title.find(';') != std::string::npos) FAIL_CHECK(title);
      if (title.starts_with('-')) FAIL_CHECK(title);
    }
  }
  CHECK(seen > 100);
}

TEST_CASE("no source file is longer than 500 lines") {
  constexpr std::ptrdiff_t kLongest = 500;
  std::size_t seen = 0;
  for (const char* folder : {"include", "src", "examples", "tests", "benchmarks", "cmake"}) {
    if (!fs::exists(source_dir() / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(source_dir() / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".hpp" && extension != ".cpp" && extension != ".cmake" &&
          extension != ".cuh" && extension != ".cu") {
        continue;
      }
      const std::string text = content(entry.path());
      const auto lines = std::count(text.begin(), text.end(), '\n');
      ++seen;
      if (lines > kLongest) FAIL_CHECK(entry.path().string() + " has " + std::to_string(lines));
    }
  }
  CHECK(seen > 10);
}
