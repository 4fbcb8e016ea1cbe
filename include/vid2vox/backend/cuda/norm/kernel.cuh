#pragma once

#include "vid2vox/backend/cuda/columns/kernel.cuh"
#include "vid2vox/backend/cuda/norm/norm.hpp"

namespace vid2vox::backend::cuda::pointwise {

// --- Batch norm: statistics ----------------------------------------------------------------------

struct BatchNormStatisticsWork : BatchNormStatisticsParams {
  std::size_t row_stride = 0;
  ColumnPlan plan;
  float* partial = nullptr;  // [pieces, 3, cols]: see MomentsKind::Partial
};

/// Every thread sums about the first value that it sees of a column, so that a large mean costs no
/// precision; a block about the mean that one of its threads found.
struct MomentsKind {
  using Work = BatchNormStatisticsWork;
  static constexpr int kInputs = 1;
  static constexpr int kValues = 3;
  static constexpr bool kHasOrigin = true;
  template <int kPack>
  struct Columns {
    __device__ Columns(const Work&, const ColumnReader<kPack>&) {}
  };
  struct Sums {
    float count;
    float first;
    float sum;      // of value - first
    float squares;  // of the same
  };
  struct Partial {
    float origin;
    float sum;      // of value - origin
    float squares;  // of the same
  };
  struct Total {
    double count;
    double mean;
    double squares;  // of deviations from the mean
  };

  template <class T>
  static __device__ const T* first(const Work& p) {
    return static_cast<const T*>(p.x);
  }
  template <class T>
  static __device__ const T* second(const Work&) {
    return nullptr;
  }
  template <int kPack>
  static __device__ void add(const Work&, const Columns<kPack>&, int, Sums& s, float x, float) {
    if (s.count == 0.0F) s.first = x;
    const float distance = x - s.first;
    s.count += 1.0F;
    s.sum += distance;
    s.squares += distance * distance;
  }
  static __device__ float origin(const Sums& s) { return s.first + s.sum / s.count; }
  static __device__ Partial partial(const Sums& s, float origin) {
    if (s.count == 0.0F) return {origin, 0.0F, 0.0F};
    const float shift = s.first - origin;
    return {origin, s.sum + s.count * shift, s.squares + shift * (2.0F * s.sum + s.count * shift)};
  }
  static __device__ void merge(Partial& to, const Partial& from) {
    to.sum += from.sum;
    to.squares += from.squares;
  }
  static __device__ void write(const Partial& partial, float* to, std::size_t cols) {
    to[0] = partial.origin;
    to[cols] = partial.sum;
    to[2 * cols] = partial.squares;
  }
  static __device__ void merge_piece(const Work& p, std::size_t piece, const float* from,
                                     Total& total) {
    const std::size_t left = p.rows - piece * p.plan.piece_rows;
    const double count = static_cast<double>(left < p.plan.piece_rows ? left : p.plan.piece_rows);
    const double sum = static_cast<double>(from[p.cols]);
    const double squares = static_cast<double>(from[2 * p.cols]) - sum * sum / count;
    merge_totals(
        total, {count, static_cast<double>(from[0]) + sum / count, squares < 0.0 ? 0.0 : squares});
  }
  /// Chan, Golub and LeVeque (1979): the moments of two sets together.
  static __device__ void merge_totals(Total& to, const Total& from) {
    if (from.count == 0.0) return;
    const double count = to.count + from.count;
    const double between = from.mean - to.mean;
    to.mean += between * (from.count / count);
    to.squares += from.squares + between * between * (to.count * from.count / count);
    to.count = count;
  }
  static __device__ void finish(const Work& p, std::size_t col, const Total& total) {
    p.mean[col] = static_cast<float>(total.mean);
    p.variance[col] = static_cast<float>(total.squares / total.count);
  }
};

template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    batch_norm_statistics_kernel(BatchNormStatisticsWork p) {
  reduce_columns<T, MomentsKind>(p);
}
template <class Work>
__global__ void __launch_bounds__(kFinishThreads) batch_norm_statistics_finish_kernel(Work p) {
  finish_columns<MomentsKind>(p);
}

// --- Batch norm: the vectors of channels ---------------------------------------------------------

template <class Params>
__global__ void __launch_bounds__(kColumnThreads) batch_norm_running_kernel(Params p) {
  const std::size_t c = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c < p.channels) {
    p.running_mean[c] += p.momentum * (p.mean[c] - p.running_mean[c]);
    p.running_variance[c] += p.momentum * (p.variance[c] * p.unbiased - p.running_variance[c]);
  }
  if (c == 0) *p.batches += 1.0F;
}

template <class Params>
__global__ void __launch_bounds__(kColumnThreads) batch_norm_inverse_kernel(Params p) {
  const std::size_t c = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c < p.channels) p.inverse_sd[c] = 1.0F / sqrtf(p.variance[c] + p.epsilon);
}

// --- Batch norm: forward -------------------------------------------------------------------------

struct BatchNormApplyWork : BatchNormApplyParams {
  ColumnPlan plan;
};

struct BatchNormApplyKind {
  using Work = BatchNormApplyWork;
  static constexpr int kInputs = 1;
  template <int kPack>
  struct Columns {
    float mean[kPack];
    float scale[kPack];
    float bias[kPack];
    __device__ Columns(const Work& p, const ColumnReader<kPack>& read) {
      float gain[kPack] = {};
      read(p.mean, mean);
      read(p.inverse_sd, scale);
      read(p.gain, gain);
      read(p.bias, bias);
      VID2VOX_UNROLL
      for (int i = 0; i < kPack; ++i) {
        if (i < read.width) scale[i] *= gain[i];
      }
    }
  };
  template <class T>
  static __device__ const T* first(const Work& p) {
    return static_cast<const T*>(p.x);
  }
  template <class T>
  static __device__ const T* second(const Work&) {
    return nullptr;
  }
  template <class T>
  static __device__ T* result(const Work& p) {
    return static_cast<T*>(p.y);
  }
  template <int kPack>
  static __device__ float value(const Work& p, const Columns<kPack>& columns, int i, float x,
                                float) {
    const float y = (x - columns.mean[i]) * columns.scale[i] + columns.bias[i];
    return p.relu && y <= 0.0F ? 0.0F : y;
  }
};

template <class T>
__global__ void __launch_bounds__(kColumnThreads) batch_norm_apply_kernel(BatchNormApplyWork p) {
  map_columns<T, BatchNormApplyKind>(p);
}

// --- Batch norm: backward ------------------------------------------------------------------------

struct BatchNormBackwardWork : BatchNormBackwardParams {
  std::size_t row_stride = 0;
  ColumnPlan plan;
  float* partial = nullptr;  // [pieces, 2, cols]: sums of dy and of dy (x - mean)
  float* means = nullptr;    // [2, cols]: means over the rows of dy and of dy times normalized x
};

/// What both passes need of a column.
template <int kPack, bool kRelu>
struct BatchNormColumns {
  float mean[kPack];
  float scale[kPack];  // gain / sd
  float bias[kPack];

  __device__ void read_columns(const BatchNormBackwardWork& p, const ColumnReader<kPack>& read,
                               float (&inverse_sd)[kPack]) {
    float gain[kPack] = {};
    read(p.mean, mean);
    read(p.inverse_sd, inverse_sd);
    read(p.gain, gain);
    if constexpr (kRelu) read(p.bias, bias);
    VID2VOX_UNROLL
    for (int i = 0; i < kPack; ++i) {
      if (i < read.width) scale[i] = inverse_sd[i] * gain[i];
    }
  }
  /// The gradient that reaches the norm: none where ReLU has cut its output.
  __device__ float upstream(int i, float x, float dy) const {
    if constexpr (kRelu) {
      if ((x - mean[i]) * scale[i] + bias[i] <= 0.0F) return 0.0F;
    }
    return dy;
  }
};

/// Sums over rows of dy and of dy (x - mean).
template <bool kRelu>
struct BatchNormSumsKind {
  using Work = BatchNormBackwardWork;
  static constexpr int kInputs = 2;
  static constexpr int kValues = 2;
  static constexpr bool kHasOrigin = false;
  template <int kPack>
  struct Columns : BatchNormColumns<kPack, kRelu> {
    __device__ Columns(const Work& p, const ColumnReader<kPack>& read) {
      float inverse_sd[kPack] = {};
      this->read_columns(p, read, inverse_sd);
    }
  };
  template <class Number>
  struct Pair {
    Number dy;
    Number dy_x;
  };
  using Sums = Pair<float>;
  using Partial = Pair<float>;
  using Total = Pair<double>;

  template <class T>
  static __device__ const T* first(const Work& p) {
    return static_cast<const T*>(p.x);
  }
  template <class T>
  static __device__ const T* second(const Work& p) {
    return static_cast<const T*>(p.dy);
  }
  template <int kPack>
  static __device__ void add(const Work&, const Columns<kPack>& columns, int i, Sums& sums, float x,
                             float dy) {
    const float upstream = columns.upstream(i, x, dy);
    sums.dy += upstream;
    sums.dy_x += upstream * (x - columns.mean[i]);
  }
  static __device__ Partial partial(const Sums& sums, float) { return sums; }
  template <class Number>
  static __device__ void merge(Pair<Number>& to, const Pair<Number>& from) {
    to.dy += from.dy;
    to.dy_x += from.dy_x;
  }
  static __device__ void write(const Partial& sums, float* to, std::size_t cols) {
    to[0] = sums.dy;
    to[cols] = sums.dy_x;
  }
  static __device__ void merge_piece(const Work& p, std::size_t, const float* from, Total& total) {
    total.dy += static_cast<double>(from[0]);
    total.dy_x += static_cast<double>(from[p.cols]);
  }
  static __device__ void merge_totals(Total& to, const Total& from) { merge(to, from); }
  static __device__ void finish(const Work& p, std::size_t col, const Total& total) {
    const double dy_x = total.dy_x * static_cast<double>(p.inverse_sd[col]);
    const double rows = static_cast<double>(p.rows);
    p.d_bias[col] = static_cast<float>(static_cast<double>(p.d_bias[col]) + total.dy);
    p.d_gain[col] = static_cast<float>(static_cast<double>(p.d_gain[col]) + dy_x);
    p.means[col] = p.batch_statistics ? static_cast<float>(total.dy / rows) : 0.0F;
    p.means[p.cols + col] = p.batch_statistics ? static_cast<float>(dy_x / rows) : 0.0F;
  }
};

/// dx = gain / sd (dy - mean of dy - normalized x times the mean of dy times normalized x).
template <bool kRelu>
struct BatchNormGradientKind {
  using Work = BatchNormBackwardWork;
  static constexpr int kInputs = 2;
  template <int kPack>
  struct Columns : BatchNormColumns<kPack, kRelu> {
    float mean_dy[kPack];
    float slope[kPack];
    __device__ Columns(const Work& p, const ColumnReader<kPack>& read) {
      float inverse_sd[kPack] = {};
      this->read_columns(p, read, inverse_sd);
      read(p.means, mean_dy);
      read(p.means + p.cols, slope);
      VID2VOX_UNROLL
      for (int i = 0; i < kPack; ++i) {
        if (i < read.width) slope[i] *= inverse_sd[i];
      }
    }
  };
  template <class T>
  static __device__ const T* first(const Work& p) {
    return static_cast<const T*>(p.x);
  }
  template <class T>
  static __device__ const T* second(const Work& p) {
    return static_cast<const T*>(p.dy);
  }
  template <class T>
  static __device__ T* result(const Work& p) {
    return static_cast<T*>(p.dx);
  }
  template <int kPack>
  static __device__ float value(const Work&, const Columns<kPack>& columns, int i, float x,
                                float dy) {
    const float upstream = columns.upstream(i, x, dy);
    return columns.scale[i] *
           (upstream - columns.mean_dy[i] - (x - columns.mean[i]) * columns.slope[i]);
  }
};

/// Blocks a multiprocessor: all pieces of a sum are under way at a time, without spills.
template <bool kRelu>
inline constexpr int kGradientBlocks = kRelu ? 3 : 4;

template <class T, bool kRelu>
__global__ void __launch_bounds__(kColumnThreads, kGradientBlocks<kRelu>)
    batch_norm_sums_kernel(BatchNormBackwardWork p) {
  reduce_columns<T, BatchNormSumsKind<kRelu>>(p);
}
template <class Work>
__global__ void __launch_bounds__(kFinishThreads) batch_norm_sums_finish_kernel(Work p) {
  finish_columns<BatchNormSumsKind<false>>(p);
}
template <class T, bool kRelu>
__global__ void __launch_bounds__(kColumnThreads, kGradientBlocks<kRelu>)
    batch_norm_gradient_kernel(BatchNormBackwardWork p) {
  map_columns<T, BatchNormGradientKind<kRelu>>(p);
}

}  // namespace vid2vox::backend::cuda::pointwise
