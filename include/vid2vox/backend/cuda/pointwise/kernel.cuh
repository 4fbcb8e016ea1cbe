#pragma once

#include "vid2vox/backend/cuda/columns/kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kPointwiseThreads = 256;

__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

template <PointwiseKind K>
__device__ __forceinline__ float pointwise_value(float a, float b) {
  constexpr float kGelu2Slope = 1.702F;  // VideoGPT's GeLU2
  if constexpr (K == PointwiseKind::kRelu) {
    return a <= 0.0F ? 0.0F : a;
  } else if constexpr (K == PointwiseKind::kReluBackward) {
    return a <= 0.0F ? 0.0F : b;
  } else if constexpr (K == PointwiseKind::kGelu2) {
    return a * sigmoid(kGelu2Slope * a);
  } else if constexpr (K == PointwiseKind::kGelu2Backward) {
    const float gate = sigmoid(kGelu2Slope * a);
    return b * gate * (1.0F + kGelu2Slope * a * (1.0F - gate));
  } else {
    return a + b;
  }
}

template <class T, PointwiseKind K>
__global__ void __launch_bounds__(kPointwiseThreads) pointwise_kernel(PointwiseParams p) {
  constexpr bool kTwoInputs = K != PointwiseKind::kRelu && K != PointwiseKind::kGelu2;
  const T* a = static_cast<const T*>(p.a);
  const T* b = static_cast<const T*>(p.b);
  T* y = static_cast<T*>(p.y);
  T* sum = static_cast<T*>(p.sum);
  const bool aligned = is_aligned(a) && is_aligned(b) && is_aligned(y) && is_aligned(sum);
  for_each_pack<kPackSize<T>>(p.n, [&](std::size_t first, int count) {
    Pack<T> pack = load_pack(a + first, count, aligned);
    Pack<T> other{};
    if constexpr (kTwoInputs) other = load_pack(b + first, count, aligned);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      pack.value[i] = pointwise_value<K>(pack.value[i], other.value[i]);
    }
    if constexpr (K == PointwiseKind::kAddRelu) {
      store_pack(sum + first, pack, count, aligned);
      VID2VOX_UNROLL
      for (int i = 0; i < kPackSize<T>; ++i) {
        pack.value[i] = pointwise_value<PointwiseKind::kRelu>(pack.value[i], 0.0F);
      }
    }
    store_pack(y + first, pack, count, aligned);
  });
}

/// As many elements a thread as the wider type's accesses suggest: 8 of 16 bits or 4 of 32.
template <class From, class To>
__global__ void __launch_bounds__(kPointwiseThreads) convert_kernel(ConvertParams p) {
  const From* x = static_cast<const From*>(p.x);
  To* y = static_cast<To*>(p.y);
  const bool aligned = is_aligned(x) && is_aligned(y);
  constexpr int kFrom = kPackSize<From>;
  constexpr int kTo = kPackSize<To>;
  constexpr int kWidth = kFrom > kTo ? kFrom : kTo;
  for_each_pack<kWidth>(p.n, [&](std::size_t first, int count) {
    float value[kWidth];
    VID2VOX_UNROLL
    for (int part = 0; part < kWidth; part += kFrom) {
      const int here = count - part < kFrom ? count - part : kFrom;
      const Pack<From> pack = load_pack(x + first + part, here, aligned);
      VID2VOX_UNROLL
      for (int i = 0; i < kFrom; ++i) value[part + i] = pack.value[i];
    }
    VID2VOX_UNROLL
    for (int part = 0; part < kWidth; part += kTo) {
      const int here = count - part < kTo ? count - part : kTo;
      Pack<To> pack;
      VID2VOX_UNROLL
      for (int i = 0; i < kTo; ++i) pack.value[i] = value[part + i];
      store_pack(y + first + part, pack, here, aligned);
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kPointwiseThreads)
    normalize_frames_kernel(NormalizeFramesParams p) {
  constexpr float kLargest = 255.0F;
  constexpr float kMiddle = 0.5F;
  T* y = static_cast<T*>(p.y);
  const bool aligned = is_aligned(y);
  for_each_pack<kPackSize<T>>(p.n, [&](std::size_t first, int count) {
    Pack<T> pack;
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      if (i < count) pack.value[i] = static_cast<float>(p.frames[first + i]) / kLargest - kMiddle;
    }
    store_pack(y + first, pack, count, aligned);
  });
}

template <class T>
__global__ void __launch_bounds__(kPointwiseThreads) dropout_kernel(DropoutParams p) {
  constexpr int kWords = 4;  // of a Philox block
  const T* x = static_cast<const T*>(p.x);
  const T* residual = static_cast<const T*>(p.residual);
  T* y = static_cast<T*>(p.y);
  const bool aligned = is_aligned(x) && is_aligned(residual) && is_aligned(y);
  const RandomKey key = p.key.resolved();
  for_each_pack<kPackSize<T>>(p.n, [&](std::size_t first, int count) {
    Pack<T> pack = load_pack(x + first, count, aligned);
    Pack<T> sum{};
    if (residual != nullptr) sum = load_pack(residual + first, count, aligned);
    VID2VOX_UNROLL
    for (int block = 0; block < kPackSize<T> / kWords; ++block) {
      const auto words = key.block(first / kWords + block);
      VID2VOX_UNROLL
      for (int i = 0; i < kWords; ++i) {
        const int at = block * kWords + i;
        const float kept = words[i] < p.threshold ? 0.0F : pack.value[at] * p.scale;
        pack.value[at] = residual == nullptr ? kept : sum.value[at] + kept;
      }
    }
    store_pack(y + first, pack, count, aligned);
  });
}

// --- Biases and column sums ----------------------------------------------------------------------

struct AddRowsWork : AddRowsParams {
  ColumnPlan plan;
};

struct AddRowsKind {
  static constexpr int kInputs = 1;
  template <int kPack>
  struct Columns {
    float bias[kPack];
    __device__ Columns(const AddRowsWork& p, const ColumnReader<kPack>& read) {
      read(p.bias, bias);
    }
  };
  template <class T>
  static __device__ const T* first(const AddRowsWork& p) {
    return static_cast<const T*>(p.y);
  }
  template <class T>
  static __device__ const T* second(const AddRowsWork&) {
    return nullptr;
  }
  template <class T>
  static __device__ T* result(const AddRowsWork& p) {
    return static_cast<T*>(p.y);
  }
  template <int kPack>
  static __device__ float value(const AddRowsWork&, const Columns<kPack>& columns, int i, float y,
                                float) {
    return y + columns.bias[i];
  }
};

template <class T>
__global__ void __launch_bounds__(kColumnThreads) add_rows_kernel(AddRowsWork p) {
  map_columns<T, AddRowsKind>(p);
}

struct SumRowsWork : SumRowsParams {
  ColumnPlan plan;
  float* partial = nullptr;  // [pieces, cols]
};

struct SumRowsKind {
  static constexpr int kInputs = 1;
  static constexpr int kValues = 1;
  static constexpr bool kHasOrigin = false;
  template <int kPack>
  struct Columns {
    __device__ Columns(const SumRowsWork&, const ColumnReader<kPack>&) {}
  };
  using Sums = float;
  using Partial = float;
  using Total = double;
  template <class T>
  static __device__ const T* first(const SumRowsWork& p) {
    return static_cast<const T*>(p.x);
  }
  template <class T>
  static __device__ const T* second(const SumRowsWork&) {
    return nullptr;
  }
  template <int kPack>
  static __device__ void add(const SumRowsWork&, const Columns<kPack>&, int, Sums& sum, float x,
                             float) {
    sum += x;
  }
  static __device__ Partial partial(Sums sum, float) { return sum; }
  static __device__ void merge(Partial& to, Partial from) { to += from; }
  static __device__ void write(Partial sum, float* to, std::size_t) { *to = sum; }
  static __device__ void merge_piece(const SumRowsWork&, std::size_t, const float* from,
                                     Total& total) {
    total += static_cast<double>(*from);
  }
  static __device__ void merge_totals(Total& to, Total from) { to += from; }
  static __device__ void finish(const SumRowsWork& p, std::size_t col, Total total) {
    p.sum[col] = static_cast<float>(static_cast<double>(p.sum[col]) + total);
  }
};

template <class T>
__global__ void __launch_bounds__(kColumnThreads) sum_rows_kernel(SumRowsWork p) {
  reduce_columns<T, SumRowsKind>(p);
}

template <class Work>
__global__ void __launch_bounds__(kFinishThreads) sum_rows_finish_kernel(Work p) {
  finish_columns<SumRowsKind>(p);
}

}  // namespace vid2vox::backend::cuda::pointwise
