#include "vid2vox/runtime/provenance.hpp"

#include <algorithm>
#include <vector>

#include "vid2vox/io/file.hpp"
#include "vid2vox/runtime/sha256.hpp"
#include "vid2vox_commit.hpp"

namespace vid2vox::runtime {

namespace {

nlohmann::ordered_json description(const std::filesystem::path& path) {
  const io::RandomAccessFile file(path);
  constexpr std::size_t kPiece = std::size_t{1} << 20U;
  std::vector<std::byte> piece(kPiece);
  Sha256 hash;
  for (std::uint64_t at = 0; at < file.size(); at += kPiece) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file.size() - at));
    file.read_at(at, std::span(piece).first(count));
    hash.add(std::span(piece).first(count));
  }
  return {{"path", path.string()}, {"bytes", file.size()}, {"sha256", hash.digest()}};
}

}  // namespace

Provenance::Provenance(int argc, const char* const* argv)
    : program_(std::filesystem::path(argv[0]).filename().string()) {
  for (int i = 1; i < argc; ++i) command_.push_back(argv[i]);
}

void Provenance::add_input(const std::filesystem::path& path) {
  inputs_.push_back(description(path));
}

void Provenance::write_beside(const std::filesystem::path& output,
                              const nlohmann::ordered_json& results) const {
  nlohmann::ordered_json sidecar;
  sidecar["program"] = program_;
  sidecar["version"] = VID2VOX_VERSION;
  sidecar["commit"] = VID2VOX_COMMIT;
  sidecar["compiler"] = VID2VOX_COMPILER;
  sidecar["arguments"] = command_;
  sidecar["parameters"] = parameters_;
  sidecar["seed"] = seed_ ? nlohmann::ordered_json(*seed_) : nlohmann::ordered_json();
  sidecar["inputs"] = inputs_;
  sidecar["output"] = description(output);
  sidecar["results"] = results;
  std::filesystem::path path = output;
  path += ".json";
  io::AtomicFile file(path);
  file.write(sidecar.dump(2) + "\n");
  file.commit();
}

}  // namespace vid2vox::runtime
