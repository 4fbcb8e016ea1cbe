#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif

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
