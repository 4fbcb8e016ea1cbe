#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"

namespace vid2vox::bench {

/// The stages of a codebook's search, each alone: what one leaves for the next is kept, so a stage
/// can be repeated once those before it have run.
class CodebookParts {
 public:
  /// z: [rows, dim], embeddings: [codes, dim], on the device; they must outlive this.
  CodebookParts(std::size_t rows, std::size_t dim, std::size_t codes, const float* z,
                const float* embeddings);

  void prepare();
  /// The first scan without the search for the best scores; leaves no answer.
  void product();
  void scan();
  void rescore();
  void measure();

  /// How many rows scan() and rescore() left open.
  struct Open {
    std::int32_t rescored;
    std::int32_t measured;
  };
  [[nodiscard]] Open open() const;
  [[nodiscard]] const std::int32_t* index() const { return index_.data(); }

 private:
  backend::cuda::DeviceBuffer<std::int32_t> index_;
  backend::cuda::DeviceBuffer<unsigned char> workspace_;
  backend::cuda::CodebookSearchParams params_;
};

}  // namespace vid2vox::bench
