#pragma once

namespace vid2vox::testing {

/// Whether the program's cases cannot run here: true after having printed "[skipped]" and why. Not
/// every program has it.
[[gnu::weak]] bool skip_all(int argc, char** argv);

}  // namespace vid2vox::testing
