#include "vid2vox/linalg/onednn.hpp"

#include "engine.hpp"

namespace vid2vox::bench {

void start_engine() { linalg::set_engine(linalg::onednn_engine()); }

}  // namespace vid2vox::bench
