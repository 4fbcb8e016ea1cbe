#pragma once

#include "vid2vox/backend/cuda/simt/simt.cuh"

// Kernels of one warp whose bank conflicts are known, for the counter's own test.

namespace vid2vox::bank_seeds {

struct Params {
  float* y;
  int stride;  // from lane to lane, in the numbers that are read
};

/// A write of 4 bytes a lane, and a read.
void launch_words(Params p);
/// The read alone is that of the first lane's word.
void launch_broadcast(Params p);
/// Reads of 8 bytes.
void launch_pairs(Params p);
/// Reads of 16 bytes, with load_16.
void launch_vectors(Params p);
/// 16 bytes by copy_async_16.
void launch_copies(Params p);
/// Half of the lanes read what the others skip, then all read, without conflicts.
void launch_branches(Params p);
/// Reads in a function that is called from two places, of which one has conflicts.
void launch_calls(Params p);

}  // namespace vid2vox::bank_seeds
