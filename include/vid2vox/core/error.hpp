#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "vid2vox/core/isa.hpp"  // IWYU pragma: export

// Not in the namespace of an instruction set: the compiled libraries throw it, and their callers,
// which may be compiled for another one, catch it.

namespace vid2vox {

/// Every exception of the library: what went wrong, where (file, tensor, row), and what to do.
class Error : public std::runtime_error {
 public:
  Error(std::string what, std::string where, std::string action)
      : std::runtime_error(where + ": " + what + (action.empty() ? "" : " (" + action + ")")),
        problem_(std::move(what)),
        where_(std::move(where)),
        action_(std::move(action)) {}

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  [[nodiscard]] const std::string& action() const noexcept { return action_; }

 private:
  std::string problem_;
  std::string where_;
  std::string action_;
};

}  // namespace vid2vox
