#include "engine.hpp"

namespace vid2vox::bench {

// Eigen is what the library computes with where nothing else is chosen.
void start_engine() {}

}  // namespace vid2vox::bench
