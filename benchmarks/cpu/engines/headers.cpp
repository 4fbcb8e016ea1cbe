#include "engine.hpp"

namespace vid2vox::bench {

// The headers' own products are what the library computes with where nothing else is chosen.
void start_engine() {}

}  // namespace vid2vox::bench
