#include "vid2vox/training/state_dict.hpp"

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/layers/codebook.hpp"
#include "vid2vox/layers/conv_transpose3d.hpp"
#include "vid2vox/layers/residual_block.hpp"
#include "vid2vox/layers/transformer_block.hpp"

namespace vid2vox {
namespace {

using Float = Policy<fp32, cpu>;

/// One of each kind of tensor layout: convolutions both ways, norms with buffers, axial attention,
/// multi-head attention, linear layers.
constexpr Conv3dConfig kUp{.kernel = {4, 4, 4}, .stride = {1, 2, 2}, .bias = true};
constexpr TransformerBlockConfig kBlock{
    .memory_dim = 8, .memory_tokens = 3, .heads = 2, .layers = 1};
struct Model {
  using Convolutions =
      Sequential<Named<"block", AttentionResidualBlock<4, 2, NormKind::kBatchNorm, Float>>,
                 Named<"up", ConvTranspose3d<4, 3, kUp, Float>>>;
  using Block = TransformerBlock<6, kBlock, Float>;
  using Book = Codebook<5, 3, Float>;
  static constexpr std::size_t parameter_count =
      Convolutions::parameter_count + Block::parameter_count;
  static constexpr std::size_t buffer_count = Convolutions::buffer_count + Book::buffer_count;
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Convolutions::visit_tensors(scope.child("conv", 0, 0), visit);
    Block::visit_tensors(scope.child("attn", Convolutions::parameter_count, 0), visit);
    Book::visit_tensors(scope.child("codebook", 0, Convolutions::buffer_count), visit);
  }
};

struct Values {
  explicit Values(std::uint64_t seed) {
    const RandomKey key{seed, 0, stream_of("values")};
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i] = static_cast<float>(key.normal(i));
    }
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      buffers[i] = static_cast<float>(key.normal(parameters.size() + i));
    }
    for (const TensorInfo& info : tensor_list<Model>()) {
      if (info.file_type == TensorInfo::FileType::kInt64) buffers[info.offset] = 7;
    }
  }
  friend bool operator==(const Values& a, const Values& b) {
    return std::equal(a.parameters.begin(), a.parameters.end(), b.parameters.begin()) &&
           std::equal(a.buffers.begin(), a.buffers.end(), b.buffers.begin());
  }
  Buffer<float> parameters{Model::parameter_count};
  Buffer<float> buffers{Model::buffer_count};
};

std::vector<io::NamedTensor> state_dict(const Values& values, const std::string& prefix) {
  std::vector<io::NamedTensor> tensors;
  append_state_dict<Model>(tensors, prefix, values.parameters.data(), values.buffers.data());
  return tensors;
}

TEST_CASE("tensors of every kind of layer fill the flat buffers without gaps or overlaps") {
  std::vector<int> parameters(Model::parameter_count, 0);
  std::vector<int> buffers(Model::buffer_count, 0);
  for (const TensorInfo& info : tensor_list<Model>()) {
    auto& owners = info.storage == TensorInfo::Storage::kParameter ? parameters : buffers;
    for_each_element(info, [&](std::size_t, std::size_t offset) { ++owners.at(offset); });
  }
  const auto one = [](int count) { return count == 1; };
  CHECK(std::all_of(parameters.begin(), parameters.end(), one));
  CHECK(std::all_of(buffers.begin(), buffers.end(), one));
}

TEST_CASE("a state dict that is written and read keeps every bit") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const Values written(1);
  io::write_safetensors(path, {}, state_dict(written, "vqvae."));
  const io::SafetensorsFile file(path);
  CHECK(file.record("vqvae.conv.block.0.num_batches_tracked").type == io::DataType::kI64);
  CHECK(file.record("vqvae.attn.attn.w_qs.weight").shape == std::vector<std::size_t>{6, 6});
  Values read(2);
  CHECK_FALSE(read == written);
  StateDictReader reader(file);
  reader.load<Model>("vqvae.", read.parameters.data(), read.buffers.data());
  reader.require_all_used();
  CHECK(read == written);
}

TEST_CASE("a float64 file loads into a float32 model") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const Values values(1);
  auto tensors = state_dict(values, "");
  for (auto& tensor : tensors) {
    if (auto* single = std::get_if<std::vector<float>>(&tensor.values)) {
      tensor.values = std::vector<double>(single->begin(), single->end());
    }
  }
  io::write_safetensors(path, {}, tensors);
  const io::SafetensorsFile file(path);
  Values read(2);
  StateDictReader(file).load<Model>("", read.parameters.data(), read.buffers.data());
  CHECK(read == values);
}

/// Loads a file made by `spoil` from a good state dict; gives the message and checks that nothing
/// was changed.
template <class Spoil>
std::string failure(const Spoil& spoil) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "bad.safetensors";
  auto tensors = state_dict(Values(1), "");
  spoil(tensors);
  io::write_safetensors(path, {}, tensors);
  const io::SafetensorsFile file(path);
  Values target(2);
  try {
    StateDictReader reader(file);
    reader.load<Model>("", target.parameters.data(), target.buffers.data());
    reader.require_all_used();
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find("bad.safetensors") != std::string::npos);
    return text;
  }
  FAIL("no exception");
  return {};
}

const char* const kName = "attn.fc_block.2.bias";

io::NamedTensor& find(std::vector<io::NamedTensor>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const auto& tensor) { return tensor.name == name; });
}

TEST_CASE("a missing tensor is named") {
  const auto text = failure([](auto& tensors) {
    tensors.erase(tensors.begin() + (&find(tensors, kName) - tensors.data()));
  });
  CHECK(text.find(kName) != std::string::npos);
  CHECK(text.find("missing") != std::string::npos);
}

TEST_CASE("a tensor that the model does not have is named") {
  const auto text = failure([](auto& tensors) {
    tensors.push_back({"attn.extra", {2}, std::vector<float>{1, 2}});
  });
  CHECK(text.find("attn.extra") != std::string::npos);
  CHECK(text.find("no such tensor") != std::string::npos);
}

TEST_CASE("a tensor of another shape is named with both shapes") {
  const auto text = failure([](auto& tensors) {
    find(tensors, kName) = {kName, {2, 3}, std::vector<float>(6)};
  });
  CHECK(text.find(kName) != std::string::npos);
  CHECK(text.find("[2, 3]") != std::string::npos);
  CHECK(text.find("[6]") != std::string::npos);
}

TEST_CASE("a tensor of another type is named with both types") {
  const auto integers = failure([](auto& tensors) {
    find(tensors, kName) = {kName, {6}, std::vector<std::int64_t>(6)};
  });
  CHECK(integers.find(kName) != std::string::npos);
  CHECK(integers.find("I64") != std::string::npos);
  const std::string tracked = "conv.block.0.num_batches_tracked";
  const auto floats = failure([&](auto& tensors) {
    find(tensors, tracked) = {tracked, {}, std::vector<float>(1)};
  });
  CHECK(floats.find(tracked) != std::string::npos);
  CHECK(floats.find("F32") != std::string::npos);
}

TEST_CASE("nothing is changed where the last tensor is wrong") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "bad.safetensors";
  auto tensors = state_dict(Values(1), "");
  tensors.pop_back();
  io::write_safetensors(path, {}, tensors);
  const io::SafetensorsFile file(path);
  Values target(2);
  StateDictReader reader(file);
  CHECK_THROWS_AS(reader.load<Model>("", target.parameters.data(), target.buffers.data()), Error);
  CHECK(target == Values(2));
}

TEST_CASE("two models share a file under two prefixes") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "two.safetensors";
  auto tensors = state_dict(Values(1), "one.");
  const auto second = state_dict(Values(2), "two.");
  tensors.insert(tensors.end(), second.begin(), second.end());
  io::write_safetensors(path, {}, tensors);
  const io::SafetensorsFile file(path);
  StateDictReader reader(file);
  Values one(3);
  reader.load<Model>("one.", one.parameters.data(), one.buffers.data());
  CHECK(one == Values(1));
  reader.require_all_used("one.");
  CHECK_THROWS_AS(reader.require_all_used(), Error);
  Values two(3);
  reader.load<Model>("two.", two.parameters.data(), two.buffers.data());
  CHECK(two == Values(2));
  reader.require_all_used();
}

TEST_CASE("shapes are printed as Python does") {
  CHECK(shape_text({}) == "[]");
  CHECK(shape_text({2}) == "[2]");
  CHECK(shape_text({2, 3}) == "[2, 3]");
}

}  // namespace
}  // namespace vid2vox
