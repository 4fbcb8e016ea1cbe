// Bank conflicts of the kernels that use shared memory, at sizes of the study (fewer rows). What a
// kernel may have is in bank_conflicts.tsv; one that is not there may have none.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "simt/shim_banks.hpp"
#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/codebook/codebook.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/embedding/embedding.hpp"
#include "vid2vox/backend/cuda/loss/loss.hpp"
#include "vid2vox/backend/cuda/norm/norm.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

namespace vid2vox {
namespace {

using simt::shim::BankCounts;
using testing::DeviceArray;
using testing::normal;
namespace device = backend::cuda;

/// Instance of a kernel -> thousandths of a wavefront that an access takes beyond its least.
using Table = std::map<std::string, int>;

Table read_table() {
  std::ifstream file(VID2VOX_BANK_TABLE);
  REQUIRE(file.is_open());
  Table table;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto tab = line.find('\t');
    REQUIRE(tab != std::string::npos);
    table[line.substr(tab + 1)] = std::stoi(line.substr(0, tab));
  }
  return table;
}

/// A kernel's name without template arguments and namespaces.
std::string short_name(const std::string& name) {
  const std::string plain = name.substr(0, name.find('<'));
  const auto colon = plain.rfind(':');
  return colon == std::string::npos ? plain : plain.substr(colon + 1);
}

/// Checks what has run since the last call. Every kernel of `expected` must be among it, so that
/// none gets out of sight.
void check_kernels(const std::vector<std::string>& expected) {
  static const Table kTable = read_table();
  std::set<std::string> found;
  for (const BankCounts& counts : simt::shim::take_bank_counts()) {
    found.insert(short_name(counts.kernel));
    const auto thousandths =
        static_cast<int>((1000 * counts.excess() + counts.accesses() / 2) / counts.accesses());
    const auto entry = kTable.find(counts.kernel);
    const int allowed = entry == kTable.end() ? 0 : entry->second;
    if (thousandths <= allowed) continue;
    FAIL_CHECK("more bank conflicts than the " << allowed << " of the table:\n"
                                               << thousandths << "\t" << counts.kernel << "\n"
                                               << simt::shim::text_of_conflicts(counts));
  }
  for (const std::string& name : expected) {
    INFO(name);
    CHECK(found.contains(name));
  }
}

template <class T>
void run_axial(const Extent3& grid, std::size_t head_width) {
  using Attention = ops::AxialAttention<cuda>;
  const ops::AxialAttentionGeometry g{
      .batch = 1, .grid = grid, .channels = 2 * head_width, .heads = 2};
  const std::size_t tokens = g.batch * grid.volume();
  DeviceArray<T> qkv(normal<T>(tokens * 9 * g.channels, "qkv"));
  DeviceArray<T> o(tokens * 3 * g.channels);
  DeviceArray<T> d_qkv(tokens * 9 * g.channels);
  Attention::forward(g, qkv.data(), o.data());
  Attention::backward(g, qkv.data(), o.data(), d_qkv.data());
}

TEMPLATE_TEST_CASE("bank conflicts of axial attention", "", float, bfloat16) {
  for (const std::size_t head_width : {120U, 64U}) {
    run_axial<TestType>({4, 4, 4}, head_width);
    run_axial<TestType>({1, 2, 16}, head_width);
    run_axial<TestType>({1, 1, 64}, head_width);
    run_axial<TestType>({1, 2, 20}, head_width);
  }
  check_kernels({"axial_attention_forward_kernel", "axial_attention_backward_kernel"});
}

TEMPLATE_TEST_CASE("bank conflicts of layer norm", "", float, bfloat16) {
  using T = TestType;
  using LayerNorm = ops::LayerNorm<cuda>;
  constexpr auto kEpsilon = ops::LayerNormEpsilon::kInsideRoot;
  for (const std::size_t channels : {240U, 576U, 1024U, 2304U, 577U}) {
    constexpr std::size_t kRows = 6;
    DeviceArray<T> x(normal<T>(kRows * channels, "x"));
    DeviceArray<T> y(kRows * channels);
    DeviceArray<float> gain(normal<float>(channels, "gain"));
    DeviceArray<float> sums(std::vector<float>(2 * channels));
    LayerNorm::forward<kEpsilon>(kRows, channels, x.data(), gain.data(), gain.data(), y.data());
    LayerNorm::backward_relu<kEpsilon>(kRows, channels, x.data(), gain.data(), gain.data(),
                                       x.data(), y.data(), sums.data(), sums.data() + channels);
  }
  check_kernels(
      {"layer_norm_forward_kernel", "layer_norm_backward_kernel", "layer_norm_finish_kernel"});
}

TEMPLATE_TEST_CASE("bank conflicts of batch norm and of sums over rows", "", float, bfloat16) {
  using T = TestType;
  using BatchNorm = ops::BatchNorm<cuda>;
  for (const std::size_t channels : {240U, 3U, 2304U}) {
    constexpr std::size_t kRows = 70;
    DeviceArray<T> x(normal<T>(kRows * channels, "x"));
    DeviceArray<T> y(kRows * channels);
    DeviceArray<float> mean(channels);
    DeviceArray<float> sd(channels);
    DeviceArray<float> sums(std::vector<float>(3 * channels));
    BatchNorm::statistics(kRows, channels, x.data(), mean.data(), sd.data());
    BatchNorm::backward_relu(kRows, channels, x.data(), mean.data(), sd.data(), sd.data(),
                             mean.data(), x.data(), y.data(), sums.data(), sums.data() + channels,
                             true);
    device::launch_sum_rows(
        {number_type_of<T>, kRows, channels, channels, x.data(), sums.data() + 2 * channels}, {});
  }
  check_kernels({"batch_norm_statistics_kernel", "batch_norm_sums_kernel", "sum_rows_kernel",
                 "batch_norm_statistics_finish_kernel", "batch_norm_sums_finish_kernel",
                 "sum_rows_finish_kernel"});
}

TEMPLATE_TEST_CASE("bank conflicts of losses and of the position's gradient", "", float, bfloat16) {
  using T = TestType;
  DeviceArray<double> out(1);
  for (const std::size_t classes : {1024U, 2048U, 20000U}) {
    constexpr std::size_t kRows = 40;
    DeviceArray<T> logits(normal<T>(kRows * classes, "logits"));
    DeviceArray<std::int32_t> target(std::vector<std::int32_t>(kRows, 7));
    device::launch_cross_entropy({.type = number_type_of<T>,
                                  .rows = kRows,
                                  .classes = classes,
                                  .gradient_factor = 1,
                                  .logits = logits.data(),
                                  .target = target.data(),
                                  .d_logits = logits.data(),
                                  .out = out.data()},
                                 {});
  }
  constexpr Extent3 kGrid{4, 8, 8};
  constexpr std::size_t kChannels = 240;
  DeviceArray<T> dy(normal<T>(kGrid.volume() * kChannels, "dy"));
  DeviceArray<float> tables(std::vector<float>(20 * kChannels / 3));
  ops::Embedding<cuda>::position_gradient(1, kGrid, kChannels, dy.data(), tables.data());
  check_kernels({"cross_entropy_kernel", "loss_sum_kernel", "table_gradient_kernel"});
}

TEMPLATE_TEST_CASE("bank conflicts of a convolution's weights in cuDNN's order", "", float,
                   bfloat16) {
  using T = TestType;
  constexpr int kTaps = 2;
  for (const auto& [in, out] : {std::pair{240, 240}, {8, 240}, {240, 8}}) {
    const auto count = static_cast<std::size_t>(kTaps * in * out);
    DeviceArray<T> ours(normal<T>(count, "w"));
    DeviceArray<T> theirs(count);
    DeviceArray<float> gradient(std::vector<float>(count, 0.0F));
    device::RepackWeightsParams p{.number_type = number_type_of<T>,
                                  .taps = kTaps,
                                  .in = in,
                                  .out = out,
                                  .padded_in = in,
                                  .padded_out = out,
                                  .from = ours.data(),
                                  .to = theirs.data()};
    p.padded_taps = kTaps;
    device::launch_repack_weights(p, {});
    p.from = theirs.data();
    p.to = gradient.data();
    device::launch_add_repacked_gradient(p, {});
  }
  check_kernels({});
}

TEST_CASE("bank conflicts of the codebook") {
  constexpr std::int64_t kRows = 600;
  constexpr int kDim = 256;
  constexpr int kCodes = 300;
  const auto z = normal<float>(kRows * kDim, "z");
  auto codes = normal<float>(kCodes * kDim, "codes");
  std::copy_n(codes.begin(), kDim, codes.begin() + 5 * kDim);  // a tie, for the last stage
  auto rows = z;
  std::copy_n(codes.begin(), kDim, rows.begin());
  DeviceArray<float> device_z(rows);
  DeviceArray<float> embeddings(codes);
  DeviceArray<std::int32_t> index(kRows);
  DeviceArray<std::byte> workspace(std::max(device::codebook_search_bytes(kRows, kDim, kCodes),
                                            device::codebook_update_bytes(kRows, kDim, kCodes)));
  device::launch_codebook_search({.z = device_z.data(),
                                  .embeddings = embeddings.data(),
                                  .index = index.data(),
                                  .rows = kRows,
                                  .dim = kDim,
                                  .codes = kCodes,
                                  .workspace = workspace.data()},
                                 {});
  DeviceArray<float> n(std::vector<float>(kCodes, 1.0F));
  device::CodebookUpdateParams update;
  update.z = device_z.data();
  update.index = index.data();
  update.n = n.data();
  DeviceArray<float> average(codes);
  update.average = average.data();
  update.embeddings = embeddings.data();
  update.rows = kRows;
  update.dim = kDim;
  update.codes = kCodes;
  update.draw = {RandomKey{}, kRows, kDim, kCodes};
  update.workspace = workspace.data();
  device::launch_codebook_update(update, {});
  check_kernels({"codebook_scan_kernel"});
}

}  // namespace
}  // namespace vid2vox
