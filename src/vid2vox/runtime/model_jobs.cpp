#include "vid2vox/runtime/model_jobs.hpp"

#include <algorithm>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/linalg/engine.hpp"
#ifdef VID2VOX_RUNTIME_HAS_ONEDNN
#include "vid2vox/linalg/onednn.hpp"
#endif
#ifdef VID2VOX_RUNTIME_HAS_CUDA
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#endif

namespace vid2vox::runtime {

namespace {

/// Throws Error where the device cannot be used at all.
void require_device(const std::string& device) {
  if (device == "cpu") return;
#ifdef VID2VOX_RUNTIME_HAS_CUDA
  backend::cuda::require_device();
#else
  throw Error("this build has no CUDA backend", "--device " + device,
              "configure with VID2VOX_CUDA=ON where a CUDA toolkit is installed, or use the cpu");
#endif
}

/// Throws Error where the engine was not built in.
void choose_engine(const std::string& name) {
#ifdef VID2VOX_RUNTIME_HAS_ONEDNN
  linalg::Engine engine = linalg::engine();
  engine.tiles = name == "headers" ? linalg::TileProducts{} : linalg::onednn_engine().tiles;
  linalg::set_engine(engine);
#else
  if (name == "onednn") {
    throw Error("this build has no oneDNN", "--engine " + name,
                "configure with VID2VOX_ONEDNN=ON where oneDNN is installed, or use headers");
  }
#endif
}

}  // namespace

const ModelJobs& jobs_for(const std::string& model, const Compute& compute) {
  bool known = false;
  for (const JobTableEntry& entry : job_table()) known = known || entry.preset == model;
  if (!known) {
    throw Error("there is no preset of this name", "model '" + model + "'",
                "choose study, videogpt or tiny");
  }
  require_device(compute.device);
  choose_engine(compute.engine);
  for (const JobTableEntry& entry : job_table()) {
    if (entry.preset == model && entry.device == compute.device &&
        entry.precision == compute.precision) {
      return entry.jobs();
    }
  }
  throw Error("the programs compute with other numbers on the " + compute.device,
              "--precision " + compute.precision, "use fp32 or bf16, or --device cuda");
}

const char* pooling_name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kTokens:
      return "tokens";
    case Pooling::kGrid:
      break;
  }
  return "grid";
}

Pooling pooling_of(const std::string& name) {
  for (const Pooling pooling : {Pooling::kNone, Pooling::kTokens, Pooling::kGrid}) {
    if (name == pooling_name(pooling)) return pooling;
  }
  throw Error("there is no such pooling", "--pool " + name, "choose none, tokens or grid");
}

std::filesystem::path checkpoint_file(const std::filesystem::path& path) {
  const std::filesystem::path file =
      std::filesystem::is_directory(path) ? path / "model.safetensors" : path;
  if (!std::filesystem::exists(file)) {
    throw Error("there is no such checkpoint", file.string(),
                "give a safetensors file or the output folder of a training program");
  }
  return file;
}

const ModelJobs& jobs_for_checkpoint(const std::filesystem::path& path, const std::string& model,
                                     const Compute& compute) {
  if (!model.empty()) return jobs_for(model, compute);
  const std::filesystem::path name = checkpoint_file(path);
  const io::SafetensorsFile file(name);
  const auto found = file.metadata().find("model");
  if (found == file.metadata().end()) {
    throw Error("its metadata do not name a preset", name.string(), "name it with --model");
  }
  return jobs_for(found->second, compute);
}

std::uint64_t default_t_max(std::uint64_t steps) {
  constexpr std::uint64_t kShortest = 1000;
  return std::max(steps, kShortest);
}

}  // namespace vid2vox::runtime
