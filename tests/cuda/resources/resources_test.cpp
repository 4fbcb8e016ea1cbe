// Registers, stack and spills of every kernel of vid2vox::cuda_kernels, from what ptxas printed
// when the library was compiled, against bounds.tsv; and the machine code of the kernels that must
// not touch local memory.
#include "cuda/resources/resources.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "support/catch.hpp"

namespace vid2vox::testing {
namespace {

namespace fs = std::filesystem;

/// The resources of the whole library.
ResourceTable library_resources() {
  ResourceTable table;
  for (const auto& entry : fs::recursive_directory_iterator(VID2VOX_PTXAS_REPORTS)) {
    if (!entry.path().string().ends_with(".ptxas.txt")) continue;
    std::ifstream file(entry.path());
    read_ptxas(file, table);
  }
  return table;
}

ResourceTable documented_bounds() {
  std::ifstream file(VID2VOX_BOUNDS);
  return read_bounds(file);
}

/// The standard output of a command.
std::string output_of(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 1 << 16> piece{};
  while (const std::size_t count = std::fread(piece.data(), 1, piece.size(), pipe)) {
    text.append(piece.data(), count);
  }
  REQUIRE(pclose(pipe) == 0);
  return text;
}

TEST_CASE("every kernel keeps to the registers, stack and spills of bounds.tsv") {
  const ResourceTable found = library_resources();
  REQUIRE(found.size() > 100);
  if (std::string(VID2VOX_NVCC_VERSION).rfind(VID2VOX_BOUNDS_NVCC, 0) != 0) {
    std::cout << "[skipped] the bounds are those of nvcc " VID2VOX_BOUNDS_NVCC ", this is "
              << VID2VOX_NVCC_VERSION << '\n';
    return;
  }
  for (const std::string& complaint : beyond_bounds(found, documented_bounds())) {
    FAIL_CHECK(complaint);
  }
}

TEST_CASE("the machine code of kernels without a stack does not access local memory") {
  const std::string cuobjdump = VID2VOX_CUOBJDUMP;
  if (cuobjdump.empty()) {
    std::cout << "[skipped] no cuobjdump: a kernel without stack and spills has no local memory\n";
    return;
  }
  const ResourceTable found = library_resources();
  std::size_t seen = 0;
  for (const std::string architecture : {VID2VOX_ARCHITECTURES}) {
    std::istringstream text(
        output_of(cuobjdump + " -sass -arch " + architecture + " " VID2VOX_KERNEL_LIBRARY));
    for (const auto& [kernel, accesses] : local_accesses(text)) {
      const auto resources = found.find({architecture, kernel});
      INFO(architecture << " " << kernel);
      REQUIRE(resources != found.end());
      ++seen;
      if (resources->second.stack_bytes == 0) CHECK(accesses == 0);
    }
  }
  CHECK(seen == found.size());
}

constexpr const char* kPrinted =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function '_Z4scanILi64EEvi' for 'sm_80'\n"
    "ptxas info    : Function properties for _Z4scanILi64EEvi\n"
    "    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
    "ptxas info    : Used 41 registers, used 1 barriers\n"
    "ptxas info    : Compiling entry function '_ZN1a3addEf' for 'sm_90'\n"
    "ptxas info    : Function properties for _ZN1a3addEf\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 10 registers\n";

ResourceTable printed() {
  ResourceTable table;
  std::istringstream text(kPrinted);
  read_ptxas(text, table);
  return table;
}

std::vector<std::string> complaints(const std::string& bounds) {
  std::istringstream text(bounds);
  return beyond_bounds(printed(), read_bounds(text));
}

TEST_CASE("what ptxas prints is understood") {
  const ResourceTable table = printed();
  REQUIRE(table.size() == 2);
  const KernelResources scan = table.at({"sm_80", "scan<64>"});
  CHECK(scan.registers == 41);
  CHECK(scan.stack_bytes == 16);
  CHECK(scan.spill_bytes == 12);
  CHECK(table.at({"sm_90", "add"}).registers == 10);
  ResourceTable cut;
  std::istringstream text("Compiling entry function 'f' for 'sm_90'\nUsed 3 registers\n");
  CHECK_THROWS_AS(read_ptxas(text, cut), Error);
}

TEST_CASE("a kernel beyond its bound is named") {
  CHECK(complaints("# kernels\nsm_80\t48\t16\t12\tscan<64>\nsm_90\t16\t0\t0\tadd\n").empty());
  CHECK(complaints("sm_80\t40\t16\t12\tscan<64>\nsm_90\t16\t0\t0\tadd\n") ==
        std::vector<std::string>{"sm_80 scan<64>: 41 registers, bound 40"});
  CHECK(complaints("sm_80\t48\t8\t0\tscan<64>\nsm_90\t16\t0\t0\tadd\n").size() == 2);
  CHECK(complaints("sm_80\t48\t16\t12\tscan<64>\nsm_90\t16\t0\t0\tgone\n").size() == 2);
  // A build for fewer architectures than the table has.
  CHECK(complaints("sm_75\t8\t0\t0\tadd\nsm_80\t48\t16\t12\tscan<64>\nsm_90\t16\t0\t0\tadd\n")
            .empty());
  // No bound for sm_90: only the spills count there.
  CHECK(complaints("sm_80\t48\t16\t12\tscan<64>\n").empty());
  CHECK(complaints("sm_90\t16\t0\t0\tadd\n") ==
        std::vector<std::string>{"sm_80 scan<64>: 12 bytes spilled, bound 0"});
  CHECK_THROWS_AS(complaints("sm_80 48 scan<64>\n"), Error);
}

TEST_CASE("accesses of local memory are counted by kernel") {
  std::istringstream text(
      "\t\tFunction : _Z4scanILi64EEvi\n"
      "        /*0010*/                   STL [R1], R2 ;\n"
      "        /*0020*/                   LDL.64 R4, [R1+0x8] ;\n"
      "        /*0030*/                   LDG.E R4, [R2] ;\n"
      "\t\tFunction : _ZN1a3addEf\n"
      "        /*0010*/                   LDS R4, [R2] ;\n");
  const auto counts = local_accesses(text);
  CHECK(counts.at("scan<64>") == 2);
  CHECK(counts.at("add") == 0);
}

}  // namespace
}  // namespace vid2vox::testing
