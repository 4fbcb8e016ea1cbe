#pragma once

namespace vid2vox::bench {

/// Makes the library compute with the engine that this program is for.
void start_engine();

}  // namespace vid2vox::bench
