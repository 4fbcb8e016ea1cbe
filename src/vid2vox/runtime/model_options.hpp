#pragma once

#include <string>

namespace vid2vox::runtime {

/// Where a model computes, and with which numbers.
struct ModelOptions {
  std::string device = "cpu";      // cpu, cuda
  std::string precision = "fp32";  // fp32, tf32, bf16, fp16; on the cpu fp32 or bf16
  // Matrix products on the cpu: headers, onednn, or auto: onednn where this was built with it.
  // Opening a model selects it for the whole program (linalg::set_engine).
  std::string engine = "auto";
};

}  // namespace vid2vox::runtime
