// The main program of tests that run on a GPU: without one, every case ends with "[skipped]", which
// ctest shows as a skip. Listing the cases, as ctest does when the program is built, works without.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <algorithm>
#include <iostream>
#include <string_view>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"

int main(int argc, char** argv) {
  const bool lists = std::any_of(argv, argv + argc, [](const char* argument) {
    return std::string_view(argument).starts_with("--list");
  });
  if (!lists && vid2vox::backend::cuda::device_count() == 0) {
    try {
      vid2vox::backend::cuda::require_device();
    } catch (const vid2vox::Error& error) {
      std::cout << "[skipped] " << error.what() << "\n";
      return 0;
    }
  }
  return Catch::Session().run(argc, argv);
}
