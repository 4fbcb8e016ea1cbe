#include "vqvae.hpp"

namespace vid2vox::bench {

void register_vqvae_bf16() { register_vqvae<bf16>(); }

}  // namespace vid2vox::bench
