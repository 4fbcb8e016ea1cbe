// Search of the nearest codes at the study's size, exact and fast, beside the product of cuBLAS
// with an arg-min; and the update of the codebook.
#include "vid2vox/backend/cuda/codebook.hpp"

#include <numeric>

#include "bench.hpp"
#include "rivals/codebook.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cuda/memory.hpp"

namespace vid2vox::bench {
namespace {

constexpr std::size_t kRows = 262'144;  // 64 x 64 clips of 64 codes
constexpr std::size_t kDim = 256;
constexpr std::size_t kCodes = 2'048;
const std::string kShape = "262144x256x2048";
using Codebook = ops::Codebook<cuda>;

/// Codes with a mean that all share, as trained codebooks have, and rows near a code each: a plain
/// product in less precision gives one in eight of such rows a wrong code.
struct CodebookCase : Case {
  CodebookCase() {
    constexpr float kMean = 4;
    constexpr float kSpread = 0.5F;
    const auto mean = normal_numbers<float>(kDim, "mean");
    auto codes = normal_numbers<float>(kCodes * kDim, "codes");
    auto rows = normal_numbers<float>(kRows * kDim, "rows");
    for (std::size_t i = 0; i < codes.size(); ++i) {
      codes[i] = kMean * mean[i % kDim] + kSpread * codes[i];
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::size_t code = RandomKey{17, 0, stream_of("choice")}.block(r)[0] % kCodes;
      for (std::size_t i = 0; i < kDim; ++i) {
        rows[r * kDim + i] = codes[code * kDim + i] + kSpread * rows[r * kDim + i];
      }
    }
    z = DeviceBuffer<float>(rows);
    embeddings = DeviceBuffer<float>(codes);
  }
  DeviceBuffer<float> z;
  DeviceBuffer<float> embeddings;
  DeviceBuffer<std::int32_t> index{kRows};
};

CodebookCase& use() {
  return use_case<CodebookCase>("codebook", [] { return std::make_unique<CodebookCase>(); });
}

/// The product of every row with every code; rows and codes read, indices written.
Work search_work() {
  const double rows = kRows;
  return {.bytes = sizeof(float) * (rows * kDim + static_cast<double>(kCodes * kDim) + rows),
          .flops = 2 * rows * kDim * kCodes};
}

/// Counts wrong codes against float64; more than `allowed_excess` of the least distance too far is
/// a wrong answer.
template <class Search>
void time_search(benchmark::State& state, double allowed_excess, const Search& search) {
  auto& data = use();
  data.index.fill_with_byte(0xFF);
  search(data);
  const SearchErrors errors = compare_with_float64(kRows, kDim, kCodes, data.z.data(),
                                                   data.embeddings.data(), data.index.data());
  if (!(errors.largest_excess <= allowed_excess)) {
    throw Error("a code is farther than the nearest by " + std::to_string(errors.largest_excess) +
                    " of its distance",
                "codebook search", "a wrong answer is not timed; run the codebook's tests");
  }
  time(state, search_work(), [&] { search(data); });
  state.counters["mismatches"] = static_cast<double>(errors.mismatches);
  state.counters["largest_excess"] = errors.largest_excess;
}

/// A codebook that every batch of the case moves a little.
struct UpdateCase : CodebookCase {
  UpdateCase() {
    Codebook::nearest(kRows, kDim, kCodes, z.data(), embeddings.data(), index.data());
    average = DeviceBuffer<float>(embeddings.download());
  }
  void run() {
    Codebook::update(kRows, kDim, kCodes, std::as_const(index).data(), std::as_const(z).data(),
                     n.data(), average.data(), embeddings.data(), key);
  }
  /// The same batch by the CPU backend.
  void check() {
    auto host_n = n.download();
    auto host_average = average.download();
    auto host_embeddings = embeddings.download();
    const auto host_index = index.download();
    const auto host_z = z.download();
    ops::Codebook<cpu>::update(kRows, kDim, kCodes, host_index.data(), host_z.data(), host_n.data(),
                               host_average.data(), host_embeddings.data(), key);
    run();
    require_agreement(to_floats(average), host_average, kTolerance<fp32>, "codebook update");
    require_agreement(to_floats(embeddings), host_embeddings, kTolerance<fp32>, "codebook update");
  }

  RandomKey key{17, 1, stream_of("codebook")};
  DeviceBuffer<float> n{std::vector<float>(kCodes, 2.0F)};
  DeviceBuffer<float> average;
};

void update(benchmark::State& state) {
  auto& data =
      use_case<UpdateCase>("codebook update", [] { return std::make_unique<UpdateCase>(); });
  if (data.first_time("check")) data.check();
  const double rows = kRows;
  const double codes = kCodes;
  time(state,
       {.bytes = sizeof(float) * (rows * kDim + rows + codes * (2 + 3 * kDim)),
        .flops = rows * kDim},
       [&] { data.run(); });
}

}  // namespace

void register_benchmarks() {
  constexpr double kRounding = 1e-3;  // of products in float32 whose sums cancel
  constexpr double kFast = 1e-2;      // what the fast search may be off
  add("codebook_search/fp32/" + kShape + "/ours", [](benchmark::State& state) {
    time_search(state, 0, [](CodebookCase& data) {
      Codebook::nearest(kRows, kDim, kCodes, data.z.data(), data.embeddings.data(),
                        data.index.data());
    });
  });
  for (const bool tf32 : {false, true}) {
    const std::string who = tf32 ? "cublas_tf32_argmin" : "cublas_argmin";
    add("codebook_search/fp32/" + kShape + "/" + who, [tf32](benchmark::State& state) {
      auto rival = std::make_shared<CodebookByProduct>(kRows, kDim, kCodes, tf32);
      // The TF32 product without centring is too far off to be an answer; it is timed all the same,
      // with its mismatches beside.
      time_search(state, tf32 ? INFINITY : kRounding, [rival](CodebookCase& data) {
        rival->search(data.z.data(), data.embeddings.data(), data.index.data());
      });
    });
  }
  add("codebook_search_fast/fp16/" + kShape + "/ours", [](benchmark::State& state) {
    time_search(state, kFast, [](CodebookCase& data) {
      Codebook::nearest_fast(kRows, kDim, kCodes, data.z.data(), data.embeddings.data(),
                             data.index.data());
    });
  });
  add("codebook_update/fp32/" + kShape + "/ours", update);
}

}  // namespace vid2vox::bench
