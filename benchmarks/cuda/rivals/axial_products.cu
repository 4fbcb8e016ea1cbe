#include <cmath>
#include <cstdint>

#include "axial_attention.hpp"
#include "cublas.cuh"

namespace vid2vox::bench {
namespace {

using backend::cuda::DeviceBuffer;

/// Sequences along one axis: sequence s starts at token s / step * step * length + s % step.
struct Axis {
  int length;
  int step;
  int sequences;
};

/// One of q, k, v (or the output) of an axis: the channels from `first` of rows of `row` channels.
struct Part {
  Axis axis;
  int heads;
  int width;
  int row;
  int first;
};

/// 16 bytes.
struct alignas(16) Chunk {
  std::uint32_t word[4];
};
constexpr int kChunkBytes = 16;

/// packed [sequence, head, token, width] <-> rows [token, row], 16 bytes a thread.
template <bool kToPacked>
__global__ void permute_kernel(Part part, int element_bytes, Chunk* packed, Chunk* rows) {
  const int chunks = part.width * element_bytes / kChunkBytes;  // of a head's row
  const long long count =
      static_cast<long long>(part.axis.sequences) * part.heads * part.axis.length * chunks;
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int chunk = static_cast<int>(i % chunks);
  const int position = static_cast<int>(i / chunks % part.axis.length);
  const int head = static_cast<int>(i / chunks / part.axis.length % part.heads);
  const long long sequence = i / chunks / part.axis.length / part.heads;
  const long long token = sequence / part.axis.step * part.axis.step * part.axis.length +
                          sequence % part.axis.step +
                          static_cast<long long>(position) * part.axis.step;
  const long long place =
      (token * part.row + part.first + head * part.width) * element_bytes / kChunkBytes + chunk;
  if (kToPacked) {
    packed[i] = rows[place];
  } else {
    rows[place] = packed[i];
  }
}

}  // namespace

struct AxialByProducts::Impl {
  Impl(const ops::AxialAttentionGeometry& g, NumberType number_type)
      : type(number_type),
        bytes(static_cast<int>(size_of(number_type))),
        channels(static_cast<int>(g.channels)),
        heads(static_cast<int>(g.heads)),
        width(channels / heads),
        tokens(g.batch * g.grid.volume()),
        packed{DeviceBuffer<unsigned char>(tokens * g.channels * size_of(number_type)),
               DeviceBuffer<unsigned char>(tokens * g.channels * size_of(number_type)),
               DeviceBuffer<unsigned char>(tokens * g.channels * size_of(number_type))} {
    const int lengths[3] = {g.grid.w, g.grid.h, g.grid.t};
    const int steps[3] = {1, g.grid.w, g.grid.w * g.grid.h};
    int longest = 1;
    for (int i = 0; i < 3; ++i) {
      axes[i] = {lengths[i], steps[i], static_cast<int>(tokens) / lengths[i]};
      longest = lengths[i] > longest ? lengths[i] : longest;
    }
    const std::size_t most = tokens * g.heads * static_cast<std::size_t>(longest);
    scores = DeviceBuffer<unsigned char>(most * size_of(number_type));
  }

  template <bool kToPacked>
  void permute(const Part& part, void* packed_rows, void* rows) const {
    const auto count = tokens * static_cast<std::size_t>(channels * bytes / kChunkBytes);
    permute_kernel<kToPacked>
        <<<blocks_for(count), kRivalThreads, 0, backend::cuda::current_stream().handle>>>(
            part, bytes, static_cast<Chunk*>(packed_rows), static_cast<Chunk*>(rows));
    check_launch("permute_kernel");
  }

  NumberType type;
  int bytes;
  int channels;
  int heads;
  int width;
  std::size_t tokens;
  Axis axes[3];
  DeviceBuffer<unsigned char> packed[3];
  DeviceBuffer<unsigned char> scores;
  Cublas cublas;
};

AxialByProducts::AxialByProducts(const ops::AxialAttentionGeometry& geometry, NumberType type)
    : impl_(std::make_unique<Impl>(geometry, type)) {}
AxialByProducts::~AxialByProducts() = default;

void AxialByProducts::forward(const void* qkv, void* o) {
  Impl& m = *impl_;
  const float scale = 1.0F / std::sqrt(static_cast<float>(m.width));
  for (int i = 0; i < 3; ++i) {
    const Axis axis = m.axes[i];
    for (int part = 0; part < 3; ++part) {
      m.permute<true>({axis, m.heads, m.width, 9 * m.channels, (3 * i + part) * m.channels},
                      m.packed[part].data(), const_cast<void*>(qkv));
    }
    const int batch = axis.sequences * m.heads;
    const long long rows = static_cast<long long>(axis.length) * m.width;
    const long long square = static_cast<long long>(axis.length) * axis.length;
    batched_product(m.cublas, m.type, batch, axis.length, axis.length, m.width, scale,
                    {m.packed[0].data(), rows, m.width}, {m.packed[1].data(), rows, m.width}, true,
                    m.scores.data(), square, axis.length);
    softmax_rows(m.type, m.scores.data(), static_cast<long long>(batch) * axis.length, axis.length,
                 axis.length, false);
    batched_product(m.cublas, m.type, batch, axis.length, m.width, axis.length, 1,
                    {m.scores.data(), square, axis.length}, {m.packed[2].data(), rows, m.width},
                    false, m.packed[0].data(), rows, m.width);
    m.permute<false>({axis, m.heads, m.width, 3 * m.channels, i * m.channels}, m.packed[0].data(),
                     o);
  }
}

}  // namespace vid2vox::bench
