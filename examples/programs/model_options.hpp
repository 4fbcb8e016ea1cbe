#pragma once

#include <CLI/CLI.hpp>

#include "vid2vox/runtime/model_options.hpp"

namespace vid2vox::programs {

/// The options that say where a model computes, and with which numbers.
inline void add_model_options(CLI::App& app, runtime::ModelOptions& options) {
  app.add_option("--device", options.device, "cpu, or cuda: an NVIDIA GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", options.precision,
                 "Numbers of the activations: fp32, tf32 (fp32 with products of 10-bit "
                 "mantissas), bf16 or fp16; on the cpu fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16", "fp16"}))
      ->capture_default_str();
  app.add_option(
         "--engine", options.engine,
         "Matrix products on the cpu: headers (the library's own), onednn, or auto: onednn "
         "where these programs were built with it. The same bits come only from the same engine")
      ->check(CLI::IsMember({"auto", "headers", "onednn"}))
      ->capture_default_str();
}

}  // namespace vid2vox::programs
