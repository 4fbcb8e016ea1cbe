// write_bounds FOLDER: a new bounds.tsv, without its comments, from the reports of ptxas in a
// folder.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "cuda/resources/resources.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_bounds FOLDER\n";
    return 2;
  }
  vid2vox::testing::ResourceTable table;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (!entry.path().string().ends_with(".ptxas.txt")) continue;
    std::ifstream file(entry.path());
    vid2vox::testing::read_ptxas(file, table);
  }
  // A warp gets registers in units of 256, eight per thread.
  constexpr int kUnit = 8;
  for (const auto& [key, kernel] : table) {
    std::cout << key.first << '\t' << (kernel.registers + kUnit - 1) / kUnit * kUnit << '\t'
              << kernel.stack_bytes << '\t' << kernel.spill_bytes << '\t' << key.second << '\n';
  }
}
