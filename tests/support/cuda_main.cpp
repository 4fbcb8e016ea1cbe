// What tests that run on a GPU begin with: without one, every case ends with "[skipped]", which
// ctest shows as a skip. Listing the cases, as ctest does when the program is built, works without.
#include <algorithm>
#include <iostream>
#include <string_view>

#include "support/skip_all.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace vid2vox::testing {

bool skip_all(int argc, char** argv) {
  const bool lists = std::any_of(argv, argv + argc, [](const char* argument) {
    return std::string_view(argument).starts_with("--list");
  });
  if (lists || backend::cuda::device_count() > 0) return false;
  try {
    backend::cuda::require_device();
  } catch (const Error& error) {
    std::cout << "[skipped] " << error.what() << "\n";
    return true;
  }
  return false;
}

}  // namespace vid2vox::testing
