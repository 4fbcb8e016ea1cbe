#include "vqvae.hpp"

namespace vid2vox::bench {

void register_vqvae_fp32() { register_vqvae<fp32>(); }

}  // namespace vid2vox::bench
