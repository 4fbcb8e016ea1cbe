#include <vid2vox_presets.hpp>

#include "vid2vox/runtime/preset.hpp"

namespace vid2vox::runtime {

#define VID2VOX_DECLARE_PRESET(function, device, precision) const Preset& function();
VID2VOX_PRESETS(VID2VOX_DECLARE_PRESET)
#undef VID2VOX_DECLARE_PRESET

namespace {

std::vector<PresetEntry>& table() {
#define VID2VOX_PRESET_ENTRY(function, device, precision) {device, precision, function},
  static std::vector<PresetEntry> entries{VID2VOX_PRESETS(VID2VOX_PRESET_ENTRY)};
#undef VID2VOX_PRESET_ENTRY
  return entries;
}

}  // namespace

const std::vector<PresetEntry>& compiled_presets() { return table(); }

bool add_preset(const PresetEntry& entry) {
  table().push_back(entry);
  return true;
}

}  // namespace vid2vox::runtime
