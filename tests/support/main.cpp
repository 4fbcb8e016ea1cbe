// The main program of all tests: Catch2 takes ten seconds to compile, once.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "support/skip_all.hpp"

#ifdef VID2VOX_TESTS_HAVE_ONEDNN
#include <cstdlib>
#include <string_view>

#include "vid2vox/linalg/onednn.hpp"

namespace {

// Before main: VID2VOX_TEST_ENGINE=onednn runs every case with oneDNN's products.
[[maybe_unused]] const bool engine_is_chosen = [] {
  const char* name = std::getenv("VID2VOX_TEST_ENGINE");
  if (name == nullptr || std::string_view(name) != "onednn") return false;
  vid2vox::linalg::set_engine(vid2vox::linalg::onednn_engine());
  return true;
}();

}  // namespace
#endif

int main(int argc, char** argv) {
  if (vid2vox::testing::skip_all != nullptr && vid2vox::testing::skip_all(argc, argv)) return 0;
  return Catch::Session().run(argc, argv);
}
