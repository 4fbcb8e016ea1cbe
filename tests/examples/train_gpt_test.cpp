// Runs the program train_gpt as a user does.

#include <string>
#include <vector>

#include "examples/program_runner.hpp"
#include "vid2vox/io/safetensors.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::testing;

/// Three videos and a VQ-VAE trained on them for two steps.
struct Fixture {
  TemporaryFolder folder;
  std::string videos = write_videos(folder.path());
  Path vqvae = folder.path() / "vqvae";

  explicit Fixture(int seed = 0) { train_vqvae(vqvae, seed); }
  void train_vqvae(const Path& out, int seed) const {
    succeed("train_vqvae", "--video" + videos +
                               " --batch 2 --steps 2 --validation-clips 2 --seed " +
                               std::to_string(seed) + " --out " + out.string());
  }
  [[nodiscard]] Path out(const std::string& name) const { return folder.path() / name; }
  [[nodiscard]] std::string options(const std::string& name, int steps) const {
    return "--video" + videos + " --model tiny --batch 2 --validation-clips 2 --validate-every 3" +
           " --vqvae " + vqvae.string() + " --steps " + std::to_string(steps) + " --out " +
           out(name).string();
  }
};

TEST_CASE("train_gpt logs every step, and one seed gives the same bits") {
  const Fixture f;
  const std::string output = succeed("train_gpt", f.options("a", 4) + " --seed 7");
  for (const char* words : {"clips train", "4 of 4 steps", "model.safetensors", "peak so far MB"}) {
    INFO(output);
    CHECK(output.find(words) != std::string::npos);
  }
  const auto rows = lines(f.out("a") / "loss.csv");
  REQUIRE(rows.size() == 1 + 4 + 2);
  CHECK(rows[0] == "step,split,loss,learning_rate,seconds");
  CHECK(rows[4].rfind("3,validation,", 0) == 0);
  const double first = std::stod(cells(rows[1])[2]);
  CHECK(first > 4);  // near log(1024) = 6.9, the loss of a guess
  CHECK(first < 9);
  CHECK(std::filesystem::exists(f.out("a") / "loss.png"));

  succeed("train_gpt", f.options("b", 4) + " --seed 7");
  check_same_run(f.out("a"), f.out("b"));
  succeed("train_gpt", f.options("c", 4) + " --seed 8");
  CHECK(contents(f.out("a") / "model.safetensors") != contents(f.out("c") / "model.safetensors"));

  // The checkpoint holds the VQ-VAE, unchanged.
  const io::SafetensorsFile vqvae(f.vqvae / "model.safetensors");
  const io::SafetensorsFile gpt(f.out("a") / "model.safetensors");
  std::size_t own = 0;
  for (const auto& record : gpt.tensors()) own += record.name.rfind("vqvae.", 0) == 0 ? 0 : 1;
  CHECK(own > 10);
  CHECK(gpt.tensors().size() == own + vqvae.tensors().size());
  for (const auto& record : vqvae.tensors()) {
    REQUIRE(gpt.contains("vqvae." + record.name));
    if (record.type != io::DataType::kF32) continue;
    CHECK(gpt.read<float>("vqvae." + record.name) == vqvae.read<float>(record.name));
  }
}

TEST_CASE("train_gpt goes on where it ended, or where it was stopped") {
  const Fixture f;
  constexpr int kSteps = 16;
  succeed("train_gpt", f.options("whole", kSteps));
  succeed("train_gpt", f.options("parts", kSteps / 2));
  succeed("train_gpt", f.options("parts", kSteps) + " --resume");
  check_same_run(f.out("whole"), f.out("parts"));
  for (const auto& [name, signal_number] : {std::pair{"int", SIGINT}, {"term", SIGTERM}}) {
    const Outcome stopped =
        interrupt("train_gpt", f.options(name, kSteps), f.out(name) / "loss.csv", 3, signal_number);
    INFO(stopped.output);
    CHECK(stopped.code == 0);
    CHECK(says(stopped, "--resume"));
    REQUIRE(losses(f.out(name)).size() < losses(f.out("whole")).size());
    succeed("train_gpt", f.options(name, kSteps) + " --resume");
    check_same_run(f.out("whole"), f.out(name));
  }
}

TEST_CASE("train_gpt destroys no earlier run and resumes only what fits") {
  const Fixture f;
  succeed("train_gpt", f.options("out", 2));
  const std::string before = fingerprint(f.out("out"));
  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("train_gpt", arguments, words);
    CHECK(fingerprint(f.out("out")) == before);
  };
  refuses(f.options("out", 4), {"error: ", f.out("out").string(), "--resume"});
  refuses(f.options("out", 4) + " --resume --seed 9", {"seed 0", "9"});
  refuses(with(f.options("out", 4), "--batch 2", "--batch 3 --resume"), {"batch 2", "3"});
  // The folder of a VQ-VAE is no GPT to resume.
  fail("train_gpt",
       "--video" + f.videos + " --batch 2 --vqvae " + f.vqvae.string() + " --resume --out " +
           f.vqvae.string(),
       {"kind vqvae, not gpt"});
  // Another VQ-VAE has other codes.
  f.train_vqvae(f.out("other"), 5);
  refuses("--video" + f.videos + " --batch 2 --resume --steps 4 --vqvae " +
              f.out("other").string() + " --out " + f.out("out").string(),
          {"vqvae"});
}

/// A copy of a checkpoint, edited before it is written.
template <class Edit>
void edit_checkpoint(const Path& from, const Path& to, const Edit& edit) {
  const io::SafetensorsFile file(from);
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<std::int64_t>> integers;
  floats.reserve(file.tensors().size());
  integers.reserve(file.tensors().size());
  std::vector<io::NamedTensor> tensors;
  for (const auto& record : file.tensors()) {
    if (record.type == io::DataType::kI64) {
      integers.push_back(file.read<std::int64_t>(record.name));
      tensors.push_back(
          {record.name, record.shape, std::span<const std::int64_t>(integers.back())});
    } else {
      floats.push_back(file.read<float>(record.name));
      tensors.push_back({record.name, record.shape, std::span<const float>(floats.back())});
    }
  }
  edit(tensors);
  io::write_safetensors(to, file.metadata(), tensors);
}

TEST_CASE("train_gpt names what is wrong with the VQ-VAE's checkpoint") {
  const Fixture f;
  const Path good = f.vqvae / "model.safetensors";
  const Path bad = f.out("bad.safetensors");
  const std::string arguments = "--video" + f.videos + " --batch 2 --steps 2 --vqvae " +
                                bad.string() + " --out " + f.out("out").string();
  const auto refuses = [&](const std::vector<std::string>& words) {
    fail("train_gpt", arguments, words);
    CHECK_FALSE(std::filesystem::exists(f.out("out")));
  };
  refuses({"error: ", bad.string()});  // absent
  std::string name;
  edit_checkpoint(good, bad, [&](auto& tensors) {
    name = tensors[3].name;
    tensors.erase(tensors.begin() + 3);
  });
  refuses({bad.string(), "'" + name + "'", "missing"});
  const std::vector<float> surplus(6);
  edit_checkpoint(good, bad, [&](auto& tensors) {
    tensors.push_back({"surplus.weight", {2, 3}, std::span<const float>(surplus)});
  });
  refuses({bad.string(), "'surplus.weight'"});
  edit_checkpoint(good, bad, [&](auto& tensors) {
    for (auto& tensor : tensors) {
      if (tensor.shape.size() < 2 || tensor.shape[0] == tensor.shape[1]) continue;
      std::swap(tensor.shape[0], tensor.shape[1]);
      name = tensor.name;
      break;
    }
  });
  refuses({bad.string(), "'" + name + "'", "shape"});
  const std::string whole = contents(good);
  std::ofstream(bad, std::ios::binary) << whole.substr(0, whole.size() - 100);
  refuses({bad.string(), "damaged"});
  std::ofstream(bad, std::ios::binary) << "text";
  refuses({bad.string()});
  std::filesystem::remove(bad);
  std::filesystem::copy_file(good, bad);
  fail("train_gpt", arguments + " --model videogpt", {bad.string(), "tensor '", "shape"});
  CHECK_FALSE(std::filesystem::exists(f.out("out")));
  fail("train_gpt", "--video" + f.videos + " --out " + f.out("out").string(), {"--vqvae"});
  fail("train_gpt",
       "--video " + f.folder.path().string() + "/run-1.mp4 --step 80 --vqvae " + good.string() +
           " --out " + f.out("out").string(),
       {"run-1.mp4", "at least two clips"});
}

}  // namespace
