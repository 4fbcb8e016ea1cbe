#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vid2vox::runtime {

/// What a program did, for the JSON file beside each of its outputs.
class Provenance {
 public:
  /// The program's name and its command line.
  Provenance(int argc, const char* const* argv);

  /// Notes a file that was read, with its size and SHA-256.
  void add_input(const std::filesystem::path& path);
  /// Only for programs that draw random numbers.
  void set_seed(std::uint64_t seed) { seed_ = seed; }
  nlohmann::ordered_json& parameters() { return parameters_; }

  /// Writes <output>.json: program, version, commit, compiler, command, parameters, inputs, seed
  /// (null where no random numbers are drawn), `results`, and the output's own size and SHA-256.
  /// The file appears only when complete.
  void write_beside(const std::filesystem::path& output,
                    const nlohmann::ordered_json& results = nlohmann::ordered_json::object()) const;

 private:
  std::string program_;
  nlohmann::ordered_json command_ = nlohmann::ordered_json::array();
  nlohmann::ordered_json parameters_ = nlohmann::ordered_json::object();
  nlohmann::ordered_json inputs_ = nlohmann::ordered_json::array();
  std::optional<std::uint64_t> seed_;
};

}  // namespace vid2vox::runtime
