#include "vid2vox/core/error.hpp"

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("an Error says where, what and what to do") {
  const Error error("the tensor is missing", "model.safetensors, tensor 'w'", "check the file");
  CHECK(error.problem() == "the tensor is missing");
  CHECK(error.where() == "model.safetensors, tensor 'w'");
  CHECK(error.action() == "check the file");
  CHECK(std::string(error.what()) ==
        "model.safetensors, tensor 'w': the tensor is missing (check the file)");
  CHECK(std::string(Error("odd", "here", "").what()) == "here: odd");
}

}  // namespace
}  // namespace vid2vox
