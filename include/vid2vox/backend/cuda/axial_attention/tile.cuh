#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/core/half.hpp"

// What a warp does with tiles of 16 rows in shared memory: products of a tile with the tiles of its
// unit. Scores and weights lie in the registers of a warp as the tensor cores' accumulators do,
// whatever the number type: with lane = 4 * group + pair,
//   s[j][n][2 * h + e] = element (row 8 * h + group, column 16 * j + 8 * n + 2 * pair + e).

namespace vid2vox::backend::cuda::axial {

inline constexpr int kLanes = 32;
inline constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
inline constexpr int kVectorWords = 4;  // of a 16-byte vector

/// A warp's row of scores against the tiles of its unit.
template <int Tiles>
using Scores = float[Tiles][2][4];

/// Tiles as rows of 16-byte vectors. A vector's place in its row is changed by bits of the row's
/// number such that no access pattern below meets a bank twice.
template <class T, int HeadWidth>
struct TileLayout {
  static constexpr int kVectorNumbers = 16 / static_cast<int>(sizeof(T));
  static constexpr int kVectors = HeadWidth / kVectorNumbers;
  static constexpr int kWords = kAxialTileRows * kVectors * kVectorWords;  // of a tile

  /// Where vector `vector` of row `row` lies, in words. Eight lanes read together, and must find
  /// eight vectors that differ modulo 8. 16 bits: rows 2i, 2i + 1 x vectors 4j..4j+3 (scores), rows
  /// 2i for 4 i x vectors j, j + 4 (products). float: rows i or 2i; or one row, 8 vectors.
  __device__ __forceinline__ static int offset(int row, int vector) {
    const int mask = sizeof(T) == 2 ? ((row >> 1) & 3) | ((row & 1) << 2) : row & 7;
    return (row * kVectors + (vector ^ mask)) * kVectorWords;
  }
  /// offset(row + 8 i, vector) is offset(row, vector) + i * kEightRows.
  static constexpr int kEightRows = 8 * kVectors * kVectorWords;
};

/// Where a product's rows go: row r of the tile to data + token * stride, `vectors` vectors wide.
/// Rows with a negative token are left out.
template <class T>
struct Destination {
  T* data;
  int stride;
  int vectors;
  int token;  // of row lane % 16

  __device__ __forceinline__ int token_of(int row) const {
    return __shfl_sync(kWholeWarp, token, row);
  }
  __device__ __forceinline__ void store(int its_token, int vector, simt::Vector16 value) const {
    if (its_token >= 0 && vector < vectors) {
      T* row = data + static_cast<std::int64_t>(its_token) * stride;
      simt::store_16(reinterpret_cast<simt::Vector16*>(row) + vector, value);
    }
  }
};

/// 16-bit numbers: tensor cores. The order of the summands and of the columns is free as long as
/// both operands agree, so it is chosen such that a lane's operands are whole 16-byte vectors.
template <class T, int HeadWidth, int Tiles>
struct TileMath {
  using Layout = TileLayout<T, HeadWidth>;
  static constexpr int kGroupRows = Tiles * kAxialTileRows;
  /// Words of a row of an exchanged matrix; the 4 keep its reads free of bank conflicts.
  static constexpr int kExchangePitch = kGroupRows / 2 + 4;
  static constexpr int kExchangeWords = kGroupRows * kExchangePitch;
  static constexpr int kScratchWords = 0;

  /// A [16, 16 * span] left operand, as the tensor cores take it.
  struct Operand {
    std::uint32_t a[Tiles][4];
  };

  __device__ __forceinline__ static std::uint32_t pack(float low, float high) {
    return simt::from_float<T>(low).bits |
           (static_cast<std::uint32_t>(simt::from_float<T>(high).bits) << 16U);
  }

  /// s += A B'. a: the warp's tile; b: the first tile of its unit.
  __device__ __forceinline__ static void scores(Scores<Tiles>& s, const std::uint32_t* a,
                                                const std::uint32_t* b, int span, int vectors,
                                                int lane) {
    const int group = lane / 4;
    for (int first = 0; first < vectors; first += 4) {
      const int at = Layout::offset(group, first + lane % 4);
      const simt::Vector16 low = simt::load_16(a + at);
      const simt::Vector16 high = simt::load_16(a + at + Layout::kEightRows);
      const std::uint32_t a0[4] = {low.word[0], high.word[0], low.word[1], high.word[1]};
      const std::uint32_t a1[4] = {low.word[2], high.word[2], low.word[3], high.word[3]};
      for (int j = 0; j < Tiles; ++j) {
        if (j >= span) break;
        for (int n = 0; n < 2; ++n) {
          const simt::Vector16 row = simt::load_16(b + at + (2 * j + n) * Layout::kEightRows);
          const std::uint32_t b0[2] = {row.word[0], row.word[1]};
          const std::uint32_t b1[2] = {row.word[2], row.word[3]};
          simt::mma_16x8x16<T>(s[j][n], a0, b0);
          simt::mma_16x8x16<T>(s[j][n], a1, b1);
        }
      }
    }
  }

  /// The warp's weights as a left operand.
  __device__ __forceinline__ static Operand keep(const Scores<Tiles>& s, std::uint32_t*, int, int) {
    Operand operand;
    for (int j = 0; j < Tiles; ++j) {
      for (int i = 0; i < 4; ++i) {
        operand.a[j][i] = pack(s[j][i / 2][2 * (i % 2)], s[j][i / 2][2 * (i % 2) + 1]);
      }
    }
    return operand;
  }

  /// Writes the warp's weights, transposed, where all warps of the group find them.
  __device__ __forceinline__ static void publish(const Scores<Tiles>& s, std::uint32_t* exchange,
                                                 int tile, int base, int span, int lane) {
    const int odd = (lane / 4) % 2;
    for (int j = 0; j < Tiles; ++j) {
      if (j >= span) break;
      for (int i = 0; i < 4; ++i) {
        const int n = i / 2;
        const int h = i % 2;
        // Two lanes with neighboring rows trade, so that each has a word of a column.
        const std::uint32_t word = pack(s[j][n][2 * h], s[j][n][2 * h + 1]);
        const std::uint32_t other = __shfl_xor_sync(kWholeWarp, word, 4);
        const std::uint32_t column =
            odd != 0 ? (other >> 16U) | (word & 0xFFFF0000U) : (word & 0xFFFFU) | (other << 16U);
        const int row = (base + j) * kAxialTileRows + 8 * n + 2 * (lane % 4) + odd;
        exchange[row * kExchangePitch + 8 * tile + 4 * h + lane / 8] = column;
      }
    }
  }

  /// Rows `tile` of the transposed matrix as a left operand.
  __device__ __forceinline__ static Operand fetch(const std::uint32_t* exchange, int tile, int base,
                                                  int span, int lane) {
    Operand operand;
    const std::uint32_t* row =
        exchange + (tile * kAxialTileRows + lane / 4) * kExchangePitch + 8 * base + lane % 4;
    for (int j = 0; j < Tiles; ++j) {
      if (j >= span) break;
      for (int i = 0; i < 4; ++i) {
        operand.a[j][i] = row[(i % 2) * 8 * kExchangePitch + 8 * j + (i / 2) * 4];
      }
    }
    return operand;
  }

  /// Operand x B to `to`. b: the first tile of the unit.
  __device__ __forceinline__ static void multiply(const Operand& operand, const std::uint32_t* b,
                                                  int span, const Destination<T>& to, int lane) {
    const int pair = lane % 4;
    const int token[2] = {to.token_of(lane / 4), to.token_of(lane / 4 + 8)};
    // Column n of the tensor cores' eight is a column of vector n / 2 + 4 (n % 2): so a lane's two
    // results belong to different vectors, and four lanes store 64 bytes side by side.
    const int column_vector = lane / 8 + 4 * ((lane / 4) % 2);
    for (int first = 0; first < to.vectors; first += 8) {
      float sum[8][4] = {};
      const int at[2] = {Layout::offset(2 * pair, first + column_vector),
                         Layout::offset(2 * pair + 1, first + column_vector)};
      for (int j = 0; j < Tiles; ++j) {
        if (j >= span) break;
        simt::Vector16 row[4];
        for (int i = 0; i < 4; ++i) {
          row[i] = simt::load_16(b + at[i % 2] + (2 * j + i / 2) * Layout::kEightRows);
        }
        for (int i = 0; i < 8; ++i) {
          const std::uint32_t column[2] = {element_pair(row[0], row[1], i),
                                           element_pair(row[2], row[3], i)};
          simt::mma_16x8x16<T>(sum[i], operand.a[j], column);
        }
      }
      for (int i = 0; i < 4; ++i) {
        simt::Vector16 value;
        for (int w = 0; w < 4; ++w) value.word[w] = pack(sum[2 * w][i], sum[2 * w + 1][i]);
        to.store(token[i / 2], first + pair + 4 * (i % 2), value);
      }
    }
  }

 private:
  /// Number i of two vectors in one word.
  __device__ __forceinline__ static std::uint32_t element_pair(const simt::Vector16& low,
                                                               const simt::Vector16& high, int i) {
    return i % 2 == 0 ? (low.word[i / 2] & 0xFFFFU) | (high.word[i / 2] << 16U)
                      : (low.word[i / 2] >> 16U) | (high.word[i / 2] & 0xFFFF0000U);
  }
};

/// float: fused multiply-adds in float32. Weights go through shared memory, where a lane finds
/// those of all rows of its columns side by side.
template <int HeadWidth, int Tiles>
struct TileMath<float, HeadWidth, Tiles> {
  using Layout = TileLayout<float, HeadWidth>;
  static constexpr int kGroupRows = Tiles * kAxialTileRows;
  static constexpr int kExchangeWords = kGroupRows * kGroupRows;
  static constexpr int kScratchWords = kAxialTileRows * kGroupRows;  // a warp's slice of the above

  /// A [16, 16 * span] left operand: its column k begins at columns + k * pitch.
  struct Operand {
    const std::uint32_t* columns;
    int pitch;
  };

  /// s += A B'.
  __device__ __forceinline__ static void scores(Scores<Tiles>& s, const std::uint32_t* a,
                                                const std::uint32_t* b, int span, int vectors,
                                                int lane) {
    const int group = lane / 4;
    for (int vector = 0; vector < vectors; ++vector) {
      const int at = Layout::offset(group, vector);
      const int b_at[2] = {Layout::offset(2 * (lane % 4), vector),
                           Layout::offset(2 * (lane % 4) + 1, vector)};
      const simt::Vector16 low = simt::load_16(a + at);
      const simt::Vector16 high = simt::load_16(a + at + Layout::kEightRows);
      for (int j = 0; j < Tiles; ++j) {
        if (j >= span) break;
        for (int i = 0; i < 4; ++i) {
          const simt::Vector16 row =
              simt::load_16(b + b_at[i % 2] + (2 * j + i / 2) * Layout::kEightRows);
          add_dot(s[j][i / 2][i % 2], low, row);
          add_dot(s[j][i / 2][2 + i % 2], high, row);
        }
      }
    }
  }

  __device__ __forceinline__ static Operand keep(const Scores<Tiles>& s, std::uint32_t* scratch,
                                                 int span, int lane) {
    __syncwarp();
    for (int j = 0; j < Tiles; ++j) {
      if (j >= span) break;
      for (int i = 0; i < 8; ++i) {
        const int column = 16 * j + 8 * (i / 4) + 2 * (lane % 4) + i % 2;
        const int row = 8 * (i % 4 / 2) + lane / 4;
        scratch[column * kAxialTileRows + row] = __float_as_uint(s[j][i / 4][i % 4]);
      }
    }
    __syncwarp();
    return {scratch, kAxialTileRows};
  }

  /// Writes the warp's weights, not transposed.
  __device__ __forceinline__ static void publish(const Scores<Tiles>& s, std::uint32_t* exchange,
                                                 int tile, int base, int span, int lane) {
    __syncwarp();  // what `keep` wrote to this place has been read
    for (int j = 0; j < Tiles; ++j) {
      if (j >= span) break;
      for (int i = 0; i < 8; ++i) {
        const int column = (base + j) * kAxialTileRows + 8 * (i / 4) + 2 * (lane % 4) + i % 2;
        const int row = tile * kAxialTileRows + 8 * (i % 4 / 2) + lane / 4;
        exchange[row * kGroupRows + column] = __float_as_uint(s[j][i / 4][i % 4]);
      }
    }
  }

  __device__ __forceinline__ static Operand fetch(const std::uint32_t* exchange, int tile, int base,
                                                  int /*span*/, int /*lane*/) {
    return {exchange + kAxialTileRows * (base * kGroupRows + tile), kGroupRows};
  }

  /// Operand x B to `to`: a lane takes one vector of columns, for all rows or (64 wide) for half.
  __device__ __forceinline__ static void multiply(const Operand& operand, const std::uint32_t* b,
                                                  int span, const Destination<float>& to,
                                                  int lane) {
    constexpr int kRows = kAxialTileRows * Layout::kVectors / kLanes;
    const int vector = lane % Layout::kVectors;
    const int first_row = lane / Layout::kVectors * kRows;
    float sum[kRows][4] = {};
    for (int k = 0; k < span * kAxialTileRows; k += 2) {  // two: loads overlap with arithmetic
      for (int i = 0; i < 2; ++i) {
        const simt::Vector16 numbers = simt::load_16(b + Layout::offset(k + i, vector));
        for (int r = 0; r < kRows; r += 4) {
          const simt::Vector16 weights =
              simt::load_16(operand.columns + (k + i) * operand.pitch + first_row + r);
          for (int w = 0; w < 4; ++w) add_scaled(sum[r + w], weights.word[w], numbers);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      simt::Vector16 value;
      for (int w = 0; w < 4; ++w) value.word[w] = __float_as_uint(sum[r][w]);
      to.store(to.token_of(first_row + r), vector, value);
    }
  }

 private:
  __device__ __forceinline__ static void add_dot(float& sum, const simt::Vector16& x,
                                                 const simt::Vector16& y) {
    for (int w = 0; w < 4; ++w) {
      sum = fmaf(__uint_as_float(x.word[w]), __uint_as_float(y.word[w]), sum);
    }
  }
  __device__ __forceinline__ static void add_scaled(float (&sum)[4], std::uint32_t weight,
                                                    const simt::Vector16& x) {
    for (int w = 0; w < 4; ++w) {
      sum[w] = fmaf(__uint_as_float(weight), __uint_as_float(x.word[w]), sum[w]);
    }
  }
};

}  // namespace vid2vox::backend::cuda::axial
