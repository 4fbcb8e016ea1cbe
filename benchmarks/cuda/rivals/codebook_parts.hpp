#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "vid2vox/backend/cuda/codebook/codebook.hpp"

namespace vid2vox::bench {

/// The stages of one codebook search, each of which can be run alone, as often as wanted.
class CodebookParts {
 public:
  /// Does a search, whose lists of open rows are then the stages' input. z: [rows, dim],
  /// embeddings: [codes, dim].
  CodebookParts(std::size_t rows, std::size_t dim, std::size_t codes, const float* z,
                const float* embeddings);
  CodebookParts(const CodebookParts&) = delete;
  CodebookParts& operator=(const CodebookParts&) = delete;
  ~CodebookParts();

  /// Mean and halves of the codes.
  void prepare();
  /// Stage 1 without codes: the rows to shared memory and their error bounds. Every index becomes
  /// 0.
  void load_rows();
  /// Stage 1 with scores for the last tile of codes only: products without the epilogue. The
  /// indices are then codes of that tile.
  void multiply();
  /// Stage 1: one term, all rows.
  void scan();
  /// Stage 2: three terms, the rows that stage 1 left open.
  void rescore();
  /// Stage 3: the rows that stage 2 left open.
  void measure();
  /// Stage 3 of the first kFewRows of all rows.
  void measure_few();
  static constexpr int kFewRows = 4;

  /// Rows that stages 2 and 3 have to look at.
  [[nodiscard]] int rescored() const;
  [[nodiscard]] int measured() const;
  /// Codes of a tile of the scan.
  [[nodiscard]] static int code_tile();

  /// What the stages have found so far: [rows].
  [[nodiscard]] std::vector<std::int32_t> index() const;
  /// All bytes of the indices, or of what `prepare` makes, become `byte`.
  void overwrite_index(std::uint8_t byte);
  void overwrite_book(std::uint8_t byte);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vid2vox::bench
