#pragma once

#include <cstddef>

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace vid2vox::ops {

/// Nearest-neighbour search in a codebook and its update by exponential moving averages (van den
/// Oord et al. 2017, appendix A.1). z: [rows, dim], embeddings: [codes, dim].
///   nearest(rows, dim, codes, z, embeddings, index): index[r] minimises |z_r - e|^2, the lowest
///   index
///     on ties; throws Error naming the first row that holds a NaN
///   gather(rows, dim, index, embeddings, y)
///   assigned_sums(rows, dim, codes, index, z, counts, sums): overwrites counts [codes], sums
///   [codes, dim]
template <Device D>
struct Codebook {
  static_assert(kBackendIncluded<D>,
                "vid2vox::ops::Codebook: no backend for this device is included; include "
                "vid2vox/backend/cpu/codebook.hpp, or for Policy<..., cuda> the header of the same "
                "name under vid2vox/backend/cuda");
};

}  // namespace vid2vox::ops
