#include "gpt.hpp"

namespace vid2vox::bench {

void register_gpt_bf16() { register_gpt<bf16>(); }

}  // namespace vid2vox::bench
