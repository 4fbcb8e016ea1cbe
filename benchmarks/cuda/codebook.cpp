// Search of the nearest codes at the study's size, exact and fast, beside the product of cuBLAS
// with an arg-min; the stages of the search, each alone; and the update of the codebook.
#include "vid2vox/backend/cuda/codebook/codebook.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "bench.hpp"
#include "rivals/codebook.hpp"
#include "rivals/codebook_parts.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cuda/memory/memory.hpp"

namespace vid2vox::bench {
namespace {

constexpr std::size_t kRows = 262'144;  // 64 x 64 clips of 64 codes
constexpr std::size_t kDim = 256;
constexpr std::size_t kCodes = 2'048;
const std::string kShape = "262144x256x2048";
using Codebook = ops::Codebook<cuda>;
using backend::cuda::CodebookSummary;
constexpr std::uint8_t kPoison = 0xFF;  // of all bytes of an array: NaN, and no code

/// Rows and codes. Gaussian ones, of which every stage of the search gets some. Or clustered ones:
/// codes with a mean that all share, as trained codebooks have, and rows near a code each, which
/// stage 1 decides; a plain product in less precision gives one in eight of them a wrong code.
enum class Data { kGaussian, kClustered };

struct CodebookCase : Case {
  explicit CodebookCase(Data data) {
    auto codes = normal_numbers<float>(kCodes * kDim, "codes");
    auto rows = normal_numbers<float>(kRows * kDim, "rows");
    if (data == Data::kClustered) make_clusters(codes, rows);
    z = DeviceBuffer<float>(rows);
    embeddings = DeviceBuffer<float>(codes);
  }

  static void make_clusters(std::vector<float>& codes, std::vector<float>& rows) {
    constexpr float kMean = 4;
    constexpr float kSpread = 0.5F;
    const auto mean = normal_numbers<float>(kDim, "mean");
    for (std::size_t i = 0; i < codes.size(); ++i) {
      codes[i] = kMean * mean[i % kDim] + kSpread * codes[i];
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::size_t code = RandomKey{17, 0, stream_of("choice")}.block(r)[0] % kCodes;
      for (std::size_t i = 0; i < kDim; ++i) {
        rows[r * kDim + i] = codes[code * kDim + i] + kSpread * rows[r * kDim + i];
      }
    }
  }

  /// A search, and what it notes about its stages.
  CodebookSummary search() {
    backend::cuda::CodebookSearchParams params;
    params.z = z.data();
    params.embeddings = embeddings.data();
    params.index = index.data();
    params.rows = kRows;
    params.dim = kDim;
    params.codes = kCodes;
    DeviceBuffer<unsigned char> workspace(
        backend::cuda::codebook_search_bytes(kRows, params.dim, params.codes));
    params.workspace = workspace.data();
    backend::cuda::launch_codebook_search(params, backend::cuda::current_stream());
    CodebookSummary summary;
    backend::cuda::copy_to_host(&summary, workspace.data(), sizeof summary);
    return summary;
  }

  DeviceBuffer<float> z;
  DeviceBuffer<float> embeddings;
  DeviceBuffer<std::int32_t> index{kRows};
};

CodebookCase& use(Data data) {
  return use_case<CodebookCase>(data == Data::kGaussian ? "codebook" : "clustered codebook",
                                [data] { return std::make_unique<CodebookCase>(data); });
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
void time_search(benchmark::State& state, Data which, double allowed_excess, const Search& search) {
  auto& data = use(which);
  data.index.fill_with_byte(kPoison);
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

/// The exact search, with the rows of its stages.
void time_ours(benchmark::State& state, Data which) {
  time_search(state, which, 0, [](CodebookCase& data) {
    Codebook::nearest(kRows, kDim, kCodes, data.z.data(), data.embeddings.data(),
                      data.index.data());
  });
  const CodebookSummary summary = use(which).search();
  state.counters["rescored"] = summary.rescored;
  state.counters["measured"] = summary.measured;
}

/// The stages of the search of Gaussian rows, and its right answer.
struct PartsCase : CodebookCase {
  PartsCase() : CodebookCase(Data::kGaussian) {
    exact = parts.index();
    index.upload(exact.data());
    if (compare_with_float64(kRows, kDim, kCodes, z.data(), embeddings.data(), index.data())
            .mismatches != 0) {
      throw Error("the stages do not find the nearest codes", "codebook search",
                  "a wrong answer is not timed; run the codebook's tests");
    }
  }
  /// Rows whose index is not the nearest code.
  [[nodiscard]] std::ptrdiff_t wrong() const {
    const auto found = parts.index();
    return std::inner_product(found.begin(), found.end(), exact.begin(), std::ptrdiff_t{0},
                              std::plus<>(), std::not_equal_to<>());
  }

  CodebookParts parts{kRows, kDim, kCodes, z.data(), embeddings.data()};
  std::vector<std::int32_t> exact;
};

/// One stage: what a call does, and whether the answer of the stages up to it is right.
struct Part {
  std::string name;
  std::function<Work(const CodebookParts&)> work;
  std::function<void(CodebookParts&)> run;
  std::function<bool(PartsCase&)> is_right;
};

void time_part(benchmark::State& state, const Part& part) {
  auto& data = use_case<PartsCase>("codebook parts", [] { return std::make_unique<PartsCase>(); });
  if (data.first_time(part.name)) {
    data.parts.overwrite_index(kPoison);
    if (!part.is_right(data)) {
      throw Error("a stage gives other codes than it should", "codebook search: " + part.name,
                  "a wrong answer is not timed; run the codebook's tests");
    }
    // What the stages start from.
    data.parts.prepare();
    data.parts.scan();
    data.parts.rescore();
    data.parts.measure();
  }
  time(state, part.work(data.parts), [&] { part.run(data.parts); });
  state.counters["rescored"] = data.parts.rescored();
  state.counters["measured"] = data.parts.measured();
}

/// Products of so many rows with all codes.
double products(double rows) { return 2 * rows * kDim * kCodes; }

/// What all rows go through.
std::vector<Part> parts_of_all_rows() {
  const double row_bytes = sizeof(float) * static_cast<double>(kRows * kDim);
  const double code_bytes = sizeof(float) * static_cast<double>(kCodes * kDim);
  const auto product_work = [=](const CodebookParts&) {
    return Work{.bytes = row_bytes, .flops = products(kRows)};
  };
  return {
      {"prepare/fp32", [=](const CodebookParts&) { return Work{.bytes = 2 * code_bytes}; },
       &CodebookParts::prepare,
       [](PartsCase& c) {
         c.parts.overwrite_book(kPoison);
         c.parts.prepare();
         c.parts.scan();
         return c.wrong() <= c.parts.rescored();
       }},
      {"rows/fp32", [=](const CodebookParts&) { return Work{.bytes = row_bytes}; },
       &CodebookParts::load_rows,
       [](PartsCase& c) {
         c.parts.load_rows();
         const auto found = c.parts.index();
         return std::count(found.begin(), found.end(), 0) == kRows;
       }},
      {"product/fp16", product_work, &CodebookParts::multiply,
       [](PartsCase& c) {
         c.parts.multiply();
         const auto found = c.parts.index();
         constexpr auto kEnd = static_cast<std::int32_t>(kCodes);
         return std::all_of(found.begin(), found.end(), [](std::int32_t code) {
           return code >= kEnd - CodebookParts::code_tile() && code < kEnd;
         });
       }},
      {"scan/fp16", product_work, &CodebookParts::scan,
       [](PartsCase& c) {
         c.parts.scan();
         return c.wrong() <= c.parts.rescored();
       }},
  };
}

/// What the open rows go through.
std::vector<Part> parts_of_open_rows() {
  constexpr double kTerms = 3;
  constexpr double kStepFlops = 3;  // a difference, its square and their sum
  const auto measure_work = [](double rows) {
    return Work{.flops = kStepFlops * rows * static_cast<double>(kDim * kCodes)};
  };
  return {
      {"rescore/fp16",
       [](const CodebookParts& p) { return Work{.flops = kTerms * products(p.rescored())}; },
       &CodebookParts::rescore,
       [](PartsCase& c) {
         c.parts.scan();
         c.parts.rescore();
         return c.wrong() <= c.parts.measured();
       }},
      {"measure/fp32", [=](const CodebookParts& p) { return measure_work(p.measured()); },
       &CodebookParts::measure,
       [](PartsCase& c) {
         c.parts.scan();
         c.parts.rescore();
         c.parts.measure();
         return c.wrong() == 0;
       }},
      {"measure_few/fp32",
       [=](const CodebookParts&) { return measure_work(CodebookParts::kFewRows); },
       &CodebookParts::measure_few,
       [](PartsCase& c) {
         c.parts.overwrite_index(0);  // a code, from which the stage starts
         c.parts.measure_few();
         const auto found = c.parts.index();
         return std::equal(found.begin(), found.begin() + CodebookParts::kFewRows, c.exact.begin());
       }},
  };
}

/// A codebook that every batch of the case moves a little.
struct UpdateCase : CodebookCase {
  UpdateCase() : CodebookCase(Data::kClustered) {
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
  for (const Data which : {Data::kGaussian, Data::kClustered}) {
    const std::string suffix = which == Data::kGaussian ? "" : "_clustered";
    const std::string search = "codebook_search" + suffix + "/fp32/" + kShape + "/";
    add(search + "ours", [which](benchmark::State& state) { time_ours(state, which); });
    for (const bool tf32 : {false, true}) {
      const std::string who = tf32 ? "cublas_tf32_argmin" : "cublas_argmin";
      add(search + who, [which, tf32](benchmark::State& state) {
        auto rival = std::make_shared<CodebookByProduct>(kRows, kDim, kCodes, tf32);
        // The TF32 product without centring is too far off to be an answer; it is timed all the
        // same, with its mismatches beside.
        time_search(state, which, tf32 ? INFINITY : kRounding, [rival](CodebookCase& data) {
          rival->search(data.z.data(), data.embeddings.data(), data.index.data());
        });
      });
    }
    add("codebook_search_fast" + suffix + "/fp16/" + kShape + "/ours",
        [which](benchmark::State& state) {
          time_search(state, which, kFast, [](CodebookCase& data) {
            Codebook::nearest_fast(kRows, kDim, kCodes, data.z.data(), data.embeddings.data(),
                                   data.index.data());
          });
        });
  }
  for (const auto& some : {parts_of_all_rows(), parts_of_open_rows()}) {
    for (const Part& part : some) {
      add("codebook_search_" + part.name + "/" + kShape + "/ours",
          [part](benchmark::State& state) { time_part(state, part); });
    }
  }
  add("codebook_update/fp32/" + kShape + "/ours", update);
}

}  // namespace vid2vox::bench
