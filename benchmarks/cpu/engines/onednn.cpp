#include "vid2vox/backend/cpu/onednn.hpp"

#include "engine.hpp"

namespace vid2vox::bench {

void start_engine() { backend::cpu::set_product_engine(&backend::cpu::onednn_engine()); }

}  // namespace vid2vox::bench
