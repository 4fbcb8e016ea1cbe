#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vid2vox::bench {

/// The nearest code by |e|^2 - 2 z e': a product of cuBLAS that writes all distances, and a kernel
/// that finds the least of each row.
class CodebookByProduct {
 public:
  CodebookByProduct(std::size_t rows, std::size_t dim, std::size_t codes, bool tf32);
  CodebookByProduct(const CodebookByProduct&) = delete;
  CodebookByProduct& operator=(const CodebookByProduct&) = delete;
  ~CodebookByProduct();

  /// z: [rows, dim], embeddings: [codes, dim], index: [rows].
  void search(const float* z, const float* embeddings, std::int32_t* index);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// How far indices are from the nearest codes, all distances taken in float64.
struct SearchErrors {
  std::size_t mismatches = 0;  // rows whose index is not that of the (lowest) nearest code
  double largest_excess = 0;   // max (distance - least distance) / least distance
};
SearchErrors compare_with_float64(std::size_t rows, std::size_t dim, std::size_t codes,
                                  const float* z, const float* embeddings,
                                  const std::int32_t* index);

}  // namespace vid2vox::bench
