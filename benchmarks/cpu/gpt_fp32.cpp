#include "gpt.hpp"

namespace vid2vox::bench {

void register_gpt_fp32() { register_gpt<fp32>(); }

}  // namespace vid2vox::bench
