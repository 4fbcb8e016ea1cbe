// The nearest code of every row, exact in float32: rows x dim x codes. Rows lie around codes, as a
// trained encoder's do.
#include "vid2vox/ops/codebook.hpp"

#include <limits>

#include "bench.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"

namespace vid2vox::bench {
namespace {

struct CodebookCase : Case {
  CodebookCase(std::size_t row_count, std::size_t width, std::size_t code_count)
      : rows(row_count),
        dim(width),
        codes(code_count),
        embeddings(normal_buffer<float>(codes * dim, "codes")),
        z(normal_buffer<float>(rows * dim, "rows", kSpread)),
        index(rows) {
    const RandomKey key{17, 0, stream_of("choice")};
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t code = key.block(row)[0] % codes;
      for (std::size_t i = 0; i < dim; ++i) z[row * dim + i] += embeddings[code * dim + i];
    }
  }
  void search() {
    ops::Codebook<cpu>::nearest(rows, dim, codes, z.data(), embeddings.data(), index.data());
  }
  /// A part of the rows against a search in float64.
  void check() {
    constexpr std::size_t kChecked = 512;
    search();
    for (std::size_t row = 0; row < rows; row += rows / kChecked) {
      double least = std::numeric_limits<double>::infinity();
      std::size_t best = 0;
      for (std::size_t code = 0; code < codes; ++code) {
        double distance = 0;
        for (std::size_t i = 0; i < dim; ++i) {
          const double d = static_cast<double>(z[row * dim + i]) -
                           static_cast<double>(embeddings[code * dim + i]);
          distance += d * d;
        }
        if (distance < least) {
          least = distance;
          best = code;
        }
      }
      if (static_cast<std::size_t>(index[row]) != best) {
        throw Error("row " + std::to_string(row) + " got code " + std::to_string(index[row]) +
                        ", the nearest is " + std::to_string(best),
                    "nearest code", "run the tests of the codebook");
      }
    }
  }

  static constexpr double kSpread = 0.5;
  std::size_t rows, dim, codes;
  Buffer<float> embeddings, z;
  Buffer<std::int32_t> index;
};

}  // namespace

void register_codebook() {
  struct Size {
    std::size_t rows, dim, codes;
  };
  for (const Size size : {Size{65536, 128, 1024}, Size{4096, 256, 2048}}) {
    const std::string shape = std::to_string(size.rows) + "x" + std::to_string(size.dim) + "x" +
                              std::to_string(size.codes);
    add(name_of<fp32>("nearest_code", shape) + ours(), [=](benchmark::State& state) {
      auto& data = use_case<CodebookCase>("codebook " + shape, [&] {
        return std::make_unique<CodebookCase>(size.rows, size.dim, size.codes);
      });
      if (data.first_time("check")) data.check();
      const double products = static_cast<double>(size.rows * size.dim * size.codes);
      time(state, data, "search", {.flops = 2 * products}, [&] { data.search(); });
    });
  }
}

}  // namespace vid2vox::bench
