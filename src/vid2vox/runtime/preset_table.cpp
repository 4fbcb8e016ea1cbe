#include <vid2vox_presets.hpp>

#include "vid2vox/runtime/preset.hpp"

namespace vid2vox::runtime {

#define VID2VOX_DECLARE_PRESET(function, device, precision) const Preset& function();
VID2VOX_PRESETS(VID2VOX_DECLARE_PRESET)
#undef VID2VOX_DECLARE_PRESET

const std::vector<PresetEntry>& compiled_presets() {
#define VID2VOX_PRESET_ENTRY(function, device, precision) {device, precision, function},
  static const std::vector<PresetEntry> table{VID2VOX_PRESETS(VID2VOX_PRESET_ENTRY)};
#undef VID2VOX_PRESET_ENTRY
  return table;
}

}  // namespace vid2vox::runtime
