// The second unit of the program includes everything too.
#include "vid2vox/vid2vox.hpp"

const void* address_seen_by_other_unit() {
  return reinterpret_cast<const void*>(&vid2vox::dense_parameter);
}
