#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <istream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"

// What a kernel takes of a multiprocessor, as ptxas reports it, and the bounds that it has to keep.

namespace vid2vox::testing {

/// Of one kernel for one architecture.
struct KernelResources {
  int registers = 0;    // per thread
  int stack_bytes = 0;  // local memory per thread: arrays that are not in registers
  int spill_bytes = 0;  // stored and loaded
};

/// By architecture ("sm_90") and kernel.
using ResourceTable = std::map<std::pair<std::string, std::string>, KernelResources>;

/// "scan_kernel<(int)256>" of a mangled name: without namespaces, parameters and result.
inline std::string kernel_name(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0) return mangled;
  std::string name = text.get();
  // The parameters begin at the first parenthesis outside of template arguments.
  int depth = 0;
  std::size_t end = name.size();
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0) {
      end = i;
      break;
    }
  }
  name.resize(end);
  name = std::regex_replace(name, std::regex("^(void|float|int) "), "");
  return std::regex_replace(name, std::regex("[A-Za-z_][A-Za-z0-9_]*::"), "");
}

/// Adds what `ptxas -v` printed to a table. Throws an Error where its format is not understood.
inline void read_ptxas(std::istream& text, ResourceTable& table) {
  static const std::regex kEntry(R"(Compiling entry function '(\w+)' for '(\w+)')");
  static const std::regex kStack(
      R"((\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads)");
  static const std::regex kUsed(R"(Used (\d+) registers)");
  KernelResources* entry = nullptr;
  bool has_stack = false;
  std::smatch match;
  for (std::string line; std::getline(text, line);) {
    if (std::regex_search(line, match, kEntry)) {
      entry = &table[{match[2], kernel_name(match[1])}];
      has_stack = false;
    } else if (entry != nullptr && !has_stack && std::regex_search(line, match, kStack)) {
      entry->stack_bytes = std::stoi(match[1]);
      entry->spill_bytes = std::stoi(match[2]) + std::stoi(match[3]);
      has_stack = true;
    } else if (entry != nullptr && std::regex_search(line, match, kUsed)) {
      if (!has_stack) throw Error("no stack frame before: " + line, "ptxas -v", "adapt read_ptxas");
      entry->registers = std::stoi(match[1]);
      entry = nullptr;
    }
  }
  if (entry != nullptr) throw Error("an entry without registers", "ptxas -v", "adapt read_ptxas");
}

/// Counts of instructions that access local memory (LDL, STL), by kernel, in what `cuobjdump -sass`
/// prints.
inline std::map<std::string, int> local_accesses(std::istream& text) {
  static const std::regex kFunction(R"(^\s*Function : (\w+))");
  static const std::regex kLocal(R"(\b(LDL|STL)\b)");
  std::map<std::string, int> counts;
  std::string kernel;
  std::smatch match;
  for (std::string line; std::getline(text, line);) {
    if (line.find("Function :") != std::string::npos && std::regex_search(line, match, kFunction)) {
      kernel = kernel_name(match[1]);
      counts.try_emplace(kernel, 0);
    } else if ((line.find("LDL") != std::string::npos || line.find("STL") != std::string::npos) &&
               std::regex_search(line, match, kLocal)) {
      ++counts[kernel];
    }
  }
  return counts;
}

/// Reads bounds.tsv: architecture, most registers, most bytes of stack and of spills, kernel; #
/// begins a comment.
inline ResourceTable read_bounds(std::istream& text) {
  static const std::regex kLine("(sm_[0-9]+)\t([0-9]+)\t([0-9]+)\t([0-9]+)\t(.+)");
  ResourceTable bounds;
  std::smatch match;
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line.front() == '#') continue;
    if (!std::regex_match(line, match, kLine)) {
      throw Error("not a line of bounds: " + line, "bounds.tsv", "see its first lines");
    }
    bounds[{match[1], match[5]}] = {std::stoi(match[2]), std::stoi(match[3]), std::stoi(match[4])};
  }
  return bounds;
}

/// What is beyond its bound, a line each. Of architectures without any bound nothing may spill;
/// bounds of architectures that were not built are passed over.
inline std::vector<std::string> beyond_bounds(const ResourceTable& found,
                                              const ResourceTable& bounds) {
  std::vector<std::string> result;
  std::set<std::string> known;
  for (const auto& [key, bound] : bounds) known.insert(key.first);
  for (const auto& [key, kernel] : found) {
    const std::string where = key.first + " " + key.second + ": ";
    const auto complain = [&](int value, int most, const char* unit) {
      if (value <= most) return;
      result.push_back(where + std::to_string(value) + unit + ", bound " + std::to_string(most));
    };
    if (!known.contains(key.first)) {
      complain(kernel.spill_bytes, 0, " bytes spilled");
      continue;
    }
    const auto bound = bounds.find(key);
    if (bound == bounds.end()) {
      result.push_back(where + "not in bounds.tsv; the first lines there explain how to add it");
      continue;
    }
    complain(kernel.registers, bound->second.registers, " registers");
    complain(kernel.stack_bytes, bound->second.stack_bytes, " bytes of stack");
    complain(kernel.spill_bytes, bound->second.spill_bytes, " bytes spilled");
  }
  std::set<std::string> built;
  for (const auto& [key, kernel] : found) built.insert(key.first);
  for (const auto& [key, bound] : bounds) {
    if (built.contains(key.first) && !found.contains(key)) {
      result.push_back(key.first + " " + key.second + ": in bounds.tsv, but not in the library");
    }
  }
  return result;
}

}  // namespace vid2vox::testing
