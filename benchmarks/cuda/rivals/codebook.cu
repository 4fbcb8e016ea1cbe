#include <algorithm>
#include <vector>

#include "codebook.hpp"
#include "cublas.cuh"

namespace vid2vox::bench {
namespace {

using backend::cuda::DeviceBuffer;
constexpr int kWarp = 32;
constexpr unsigned kAll = 0xFFFFFFFFU;
constexpr int kTile = 16;  // rows and codes of a block of the float64 search

/// norms[code] = |e|^2, a warp a code.
__global__ void norm_kernel(const float* embeddings, int codes, int dim, float* norms) {
  const int code = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (code >= codes) return;
  float sum = 0;
  for (int i = lane; i < dim; i += kWarp) {
    const float e = embeddings[static_cast<long long>(code) * dim + i];
    sum += e * e;
  }
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAll, sum, step);
  if (lane == 0) norms[code] = sum;
}

/// index[row] = the least of norms + products [row], the lowest index on ties; a warp a row.
__global__ void least_kernel(const float* products, const float* norms, long long rows, int codes,
                             std::int32_t* index) {
  const long long row = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (row >= rows) return;
  float best = INFINITY;
  int best_code = codes;
  for (int code = lane; code < codes; code += kWarp) {
    const float distance = norms[code] + products[row * codes + code];
    if (distance < best) {
      best = distance;
      best_code = code;
    }
  }
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAll, best, step);
    const int other_code = __shfl_xor_sync(kAll, best_code, step);
    if (other < best || (other == best && other_code < best_code)) {
      best = other;
      best_code = other_code;
    }
  }
  if (lane == 0) index[row] = best_code;
}

/// A block takes kTile rows, its threads (x: code, y: row) kTile codes at a time. Writes per row
/// whether the index is another code than the nearest, and by how much it is farther.
__global__ void float64_kernel(const float* z, const float* embeddings, const std::int32_t* index,
                               long long rows, int dim, int codes, int* mismatch, double* excess) {
  __shared__ float z_tile[kTile][kTile + 1];
  __shared__ float e_tile[kTile][kTile + 1];
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  const long long row = static_cast<long long>(blockIdx.x) * kTile + y;
  const int chosen = row < rows ? index[row] : 0;
  double best = INFINITY;
  double chosen_distance = INFINITY;
  int best_code = codes;
  for (int first = 0; first < codes; first += kTile) {
    double sum = 0;
    for (int at = 0; at < dim; at += kTile) {
      const bool inside = at + x < dim;
      z_tile[y][x] = inside && row < rows ? z[row * dim + at + x] : 0;
      e_tile[y][x] = inside && first + y < codes
                         ? embeddings[static_cast<long long>(first + y) * dim + at + x]
                         : 0;
      __syncthreads();
      for (int i = 0; i < kTile; ++i) {
        const double difference =
            static_cast<double>(z_tile[y][i]) - static_cast<double>(e_tile[x][i]);
        sum += difference * difference;
      }
      __syncthreads();
    }
    const int code = first + x;
    if (code < codes && sum < best) {
      best = sum;
      best_code = code;
    }
    if (code == chosen) chosen_distance = sum;
  }
  for (int step = kTile / 2; step > 0; step /= 2) {
    const double other = __shfl_xor_sync(kAll, best, step);
    const int other_code = __shfl_xor_sync(kAll, best_code, step);
    chosen_distance = fmin(chosen_distance, __shfl_xor_sync(kAll, chosen_distance, step));
    if (other < best || (other == best && other_code < best_code)) {
      best = other;
      best_code = other_code;
    }
  }
  if (x == 0 && row < rows) {
    mismatch[row] = best_code != chosen;
    excess[row] = best > 0 ? (chosen_distance - best) / best : chosen_distance;
  }
}

}  // namespace

struct CodebookByProduct::Impl {
  std::size_t rows;
  std::size_t dim;
  std::size_t codes;
  DeviceBuffer<float> products;
  DeviceBuffer<float> norms;
  Cublas cublas;
};

CodebookByProduct::CodebookByProduct(std::size_t rows, std::size_t dim, std::size_t codes,
                                     bool tf32)
    : impl_(new Impl{rows, dim, codes, DeviceBuffer<float>(rows * codes),
                     DeviceBuffer<float>(codes), Cublas(tf32)}) {}
CodebookByProduct::~CodebookByProduct() = default;

void CodebookByProduct::search(const float* z, const float* embeddings, std::int32_t* index) {
  Impl& m = *impl_;
  cudaStream_t stream = backend::cuda::current_stream().handle;
  const int dim = static_cast<int>(m.dim);
  const int codes = static_cast<int>(m.codes);
  const auto rows = static_cast<long long>(m.rows);
  norm_kernel<<<blocks_for(m.codes * kWarp), kRivalThreads, 0, stream>>>(embeddings, codes, dim,
                                                                         m.norms.data());
  check_launch("norm_kernel");
  const float minus_two = -2;
  const float zero = 0;
  check_cublas(cublasSgemm(m.cublas.on_current_stream(), CUBLAS_OP_T, CUBLAS_OP_N, codes,
                           static_cast<int>(rows), dim, &minus_two, embeddings, dim, z, dim, &zero,
                           m.products.data(), codes),
               "cublasSgemm");
  least_kernel<<<blocks_for(m.rows * kWarp), kRivalThreads, 0, stream>>>(
      m.products.data(), m.norms.data(), rows, codes, index);
  check_launch("least_kernel");
}

SearchErrors compare_with_float64(std::size_t rows, std::size_t dim, std::size_t codes,
                                  const float* z, const float* embeddings,
                                  const std::int32_t* index) {
  DeviceBuffer<int> mismatch(rows);
  DeviceBuffer<double> excess(rows);
  float64_kernel<<<static_cast<unsigned>((rows + kTile - 1) / kTile), dim3(kTile, kTile), 0,
                   backend::cuda::current_stream().handle>>>(
      z, embeddings, index, static_cast<long long>(rows), static_cast<int>(dim),
      static_cast<int>(codes), mismatch.data(), excess.data());
  check_launch("float64_kernel");
  const std::vector<int> mismatches = mismatch.download();
  const std::vector<double> excesses = excess.download();
  return {static_cast<std::size_t>(std::count(mismatches.begin(), mismatches.end(), 1)),
          *std::max_element(excesses.begin(), excesses.end())};
}

}  // namespace vid2vox::bench
