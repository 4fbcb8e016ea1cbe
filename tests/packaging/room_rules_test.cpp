// Rules about rooms, the folders of the library, the programs and the benchmarks: what a room keeps
// to itself is in its `internal` folders and namespaces, and no other room uses it; a folder stays
// small enough to read.
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "packaging/source_files.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::testing;

/// Source -> its text.
using Sources = std::map<std::string, std::string>;

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
  return parts;
}

/// The room of a source: "include/vid2vox/io/npy.hpp" -> "io". Empty for umbrellas and tests.
std::string room_of(const std::string& source) {
  const auto parts = parts_of(source);
  const auto part = [&](std::size_t i) { return i + 1 < parts.size() ? parts[i] : std::string(); };
  if (part(0) == "include" || part(0) == "src") {
    return part(2) == "backend" ? "backend/" + part(3) : part(2);
  }
  if (part(0) == "examples") return "examples/" + part(1);
  return part(0) == "benchmarks" ? "benchmarks" : "";
}

/// The room of a header as it is included.
std::string room_of_header(const std::string& included) {
  return included.starts_with("vid2vox/") ? room_of("include/" + included) : "";
}

/// Names that appear, unqualified, in a text's `internal` namespaces: what they declare is among
/// them.
std::set<std::string> internal_names(const std::string& text) {
  static const std::regex kOpens(R"(^(?:inline )?namespace (?:[\w: ]*::)?internal \{$)");
  static const std::regex kCloses(R"(^\}.*// namespace (?:[\w: ]*::)?internal$)");
  static const std::regex kName(R"((^|[^\w:.>])([A-Za-z_]\w*))");
  std::set<std::string> names;
  bool inside = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, kCloses)) inside = false;
    if (inside) {
      const std::string code = line.substr(0, line.find("//"));
      for (std::sregex_iterator at(code.begin(), code.end(), kName), end; at != end; ++at) {
        names.insert((*at)[2]);
      }
    }
    if (std::regex_match(line, kOpens)) inside = true;
  }
  return names;
}

/// Tests' stand-ins for functions of the CUDA backend, and the header whose functions they define.
const std::map<std::string, std::string>& stand_ins() {
  static const std::map<std::string, std::string> kHeaders{
      {"tests/support/simt/runtime.cpp", "vid2vox/backend/cuda/runtime/runtime.hpp"},
      {"tests/support/simt/graph.cpp", "vid2vox/backend/cuda/runtime/runtime.hpp"},
  };
  return kHeaders;
}

/// Whether a source below tests/ is the test of a header, or a helper of that test: it has the
/// header's path, and a name that begins with the header's.
bool is_test_of(const std::string& test, const std::string& header) {
  std::string stem = "tests/" + header.substr(header.find('/') + 1);
  stem.erase(stem.rfind('.'));
  return test.starts_with(stem) && (test[stem.size()] == '_' || test[stem.size()] == '.');
}

/// Whether a source may use what is internal in a header.
bool may_use(const std::string& source, const std::string& header) {
  if (!source.starts_with("tests/")) return room_of(source) == room_of_header(header);
  const auto stand_in = stand_ins().find(source);
  if (stand_in != stand_ins().end()) {
    const std::string& own = stand_in->second;
    return header.starts_with(own.substr(0, own.rfind('/') + 1));
  }
  return is_test_of(source, header);
}

/// The names of `internal` namespaces that a source may write.
std::set<std::string> usable_names(const std::string& source, const Sources& sources) {
  std::set<std::string> usable;
  for (const auto& [path, text] : sources) {
    const bool header = path.starts_with("include/") || path.starts_with("src/");
    const bool own = header ? may_use(source, path.substr(path.find('/') + 1))
                            : !room_of(path).empty() && room_of(path) == room_of(source);
    if (own) usable.merge(internal_names(text));
  }
  return usable;
}

/// Complaints about a source's use of what other rooms keep to themselves.
std::vector<std::string> internal_complaints(const std::string& source, const Sources& sources) {
  // benchmark::internal is Google's.
  static const std::regex kUse(R"((\w+::)?\binternal::(\w+))");
  static const std::regex kOpened(R"((?:using namespace|namespace \w+ =)([\w: ]*)\binternal;)");
  const std::string& text = sources.at(source);
  std::vector<std::string> result;
  for (const std::string& included : includes_of(text)) {
    if (!is_public(included) && included.starts_with("vid2vox/") && !may_use(source, included)) {
      result.push_back(source + " may not include " + included);
    }
  }
  std::optional<std::set<std::string>> usable;
  for (std::sregex_iterator at(text.begin(), text.end(), kOpened), end; at != end; ++at) {
    if (!usable) usable = usable_names(source, sources);
    const bool own = (*at)[1] == " " && !source.starts_with("tests/") && !usable->empty();
    if (!own) result.push_back(source + " opens an internal namespace");
  }
  for (std::sregex_iterator at(text.begin(), text.end(), kUse), end; at != end; ++at) {
    if ((*at)[1] == "benchmark::") continue;
    if (!usable) usable = usable_names(source, sources);
    if (!usable->contains((*at)[2])) result.push_back(source + " may not use " + at->str());
  }
  return result;
}

Sources all_sources() {
  Sources sources;
  for (const char* folder : {"include", "src", "examples", "benchmarks", "tests"}) {
    for (const std::string& path : sources_under(folder)) {
      sources[path] = content(source_dir() / path);
    }
  }
  sources.erase("tests/packaging/room_rules_test.cpp");  // holds what the rules forbid
  return sources;
}

/// Complaints about folders of headers and sources with more files than a reader takes in.
std::vector<std::string> crowded_folders(const std::vector<std::string>& paths) {
  constexpr std::size_t kMost = 20;
  std::map<std::string, std::size_t> files;
  for (const std::string& path : paths) ++files[path.substr(0, path.rfind('/'))];
  std::vector<std::string> result;
  for (const auto& [folder, count] : files) {
    if (count > kMost) result.push_back(folder + " holds " + std::to_string(count) + " files");
  }
  return result;
}

/// A namespace of another name for what is internal.
bool has_detail_namespace(const std::string& text) {
  static const std::regex kDetail(R"(\bnamespace (?:[\w: ]*::)?(?:\w+_)?detail \{)");
  return std::regex_search(text, kDetail);
}

}  // namespace

TEST_CASE("no room uses what another one keeps to itself") {
  const Sources sources = all_sources();
  REQUIRE(sources.size() > 100);
  for (const auto& [source, text] : sources) {
    for (const std::string& complaint : internal_complaints(source, sources)) {
      FAIL_CHECK(complaint);
    }
  }
}

TEST_CASE("the rule of internals catches what it forbids") {
  const std::string declaration =
      "namespace VID2VOX::io {\nnamespace internal {\nint hidden();\n}  // namespace internal\n";
  const auto count = [&](const std::string& source, const std::string& text) {
    Sources sources{{"include/vid2vox/io/npy.hpp", declaration},
                    {"include/vid2vox/io/internal/bytes.hpp", declaration},
                    {"benchmarks/support/case.hpp", declaration}};
    sources[source] = text;
    return internal_complaints(source, sources).size();
  };
  const std::string include = "#include \"vid2vox/io/internal/bytes.hpp\"\n";
  CHECK(count("include/vid2vox/imaging/a.hpp", include) == 1);
  CHECK(count("src/vid2vox/runtime/a.cpp", include) == 1);
  CHECK(count("examples/programs/a.cpp", include) == 1);
  CHECK(count("tests/io/npy_test.cpp", include) == 1);
  CHECK(count("tests/io/bytes_test.cpp", include) == 1);
  CHECK(count("include/vid2vox/io/a.hpp", include) == 0);
  CHECK(count("tests/io/internal/bytes_test.cpp", include) == 0);

  CHECK(count("include/vid2vox/imaging/a.hpp", "x = io::internal::hidden();") == 1);
  CHECK(count("include/vid2vox/imaging/a.hpp", "x = internal::hidden();") == 1);
  CHECK(count("src/vid2vox/runtime/a.cpp", "using io::internal::hidden;") == 1);
  CHECK(count("tests/io/clips_test.cpp", "CHECK(internal::hidden());") == 1);
  CHECK(count("include/vid2vox/imaging/a.hpp", "using namespace internal;") == 1);
  CHECK(count("tests/io/npy_test.cpp", "using namespace vid2vox::io::internal;") == 1);
  CHECK(count("include/vid2vox/io/a.hpp", "using namespace internal;") == 0);
  CHECK(count("tests/io/npy_test.cpp", "namespace a = vid2vox::io::internal;") == 1);
  CHECK(count("include/vid2vox/io/a.hpp", "x = internal::hidden();") == 0);
  CHECK(count("tests/io/npy_test.cpp", "CHECK(internal::hidden());") == 0);
  CHECK(count("tests/io/npy_cases.hpp", "CHECK(internal::hidden());") == 0);
  CHECK(count("benchmarks/cpu/a.cpp", "x = internal::hidden();") == 0);
  CHECK(count("benchmarks/cpu/a.cpp", "x = internal::other();") == 1);
  CHECK(count("benchmarks/cpu/a.cpp", "benchmark::internal::Benchmark* b;") == 0);
}

TEST_CASE("stand-ins for the CUDA backend use what is internal in its runtime only") {
  CHECK(may_use("tests/support/simt/runtime.cpp",
                "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"));
  CHECK_FALSE(may_use("tests/support/simt/runtime.cpp", "vid2vox/backend/cuda/conv3d/conv3d.hpp"));
  CHECK_FALSE(may_use("tests/support/simt/shim.cpp",
                      "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"));
  for (const auto& [source, header] : stand_ins()) {
    INFO(source);
    CHECK(std::filesystem::exists(source_dir() / source));
    CHECK(std::filesystem::exists(source_dir() / "include" / header));
  }
}

TEST_CASE("what is internal is in namespaces of that name") {
  CHECK(has_detail_namespace("namespace half_detail {\n"));
  CHECK(has_detail_namespace("namespace vid2vox::io::detail {\n"));
  CHECK_FALSE(has_detail_namespace("namespace internal {\n"));
  for (const char* folder : {"include", "src", "examples", "benchmarks"}) {
    for (const std::string& path : sources_under(folder)) {
      if (has_detail_namespace(content(source_dir() / path))) FAIL_CHECK(path);
    }
  }
}

TEST_CASE("no folder holds more than 20 headers and sources") {
  CHECK(crowded_folders(std::vector<std::string>(20, "include/a/b.hpp")).empty());
  CHECK(crowded_folders(std::vector<std::string>(21, "include/a/b.hpp")).size() == 1);
  for (const char* folder : {"include", "examples"}) {
    for (const std::string& complaint : crowded_folders(sources_under(folder))) {
      FAIL_CHECK(complaint);
    }
  }
}
