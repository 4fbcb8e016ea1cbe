#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/imaging/volume_sampler.hpp"

namespace VID2VOX::imaging {

/// Which voxels belong to which target (parcel or voxel).
class Atlas {
 public:
  /// Parcels of a volume of labels: whole numbers, 0 where there is none; targets are in the order
  /// of the labels. Throws Error naming `where` for labels that are no whole numbers from 0, or if
  /// all are 0.
  static Atlas of_labels(const Volume& labels, const std::string& where) {
    Atlas atlas(labels.grid);
    std::map<std::int64_t, std::vector<std::size_t>> parcels;
    for (std::size_t i = 0; i < labels.values.size(); ++i) {
      const float value = labels.values[i];
      constexpr float kLargest = 16777216;  // 2^24: float holds every whole number up to it
      if (!(value >= 0 && value <= kLargest) || value != std::floor(value)) {
        throw Error("label " + std::to_string(value), where,
                    "give an atlas of whole numbers from 0 (not a probabilistic one)");
      }
      if (value > 0) parcels[static_cast<std::int64_t>(value)].push_back(i);
    }
    for (auto& [label, voxels] : parcels) {
      atlas.names_.push_back(std::to_string(label));
      atlas.voxels_.push_back(std::move(voxels));
    }
    atlas.check(where);
    return atlas;
  }

  /// Every voxel of a mask that is a number other than 0, as a target of its own, in the order of
  /// nilearn's NiftiMasker: z fastest, x slowest. Names are "x_y_z" (voxel indices).
  static Atlas of_mask(const Volume& mask, const std::string& where) {
    Atlas atlas(mask.grid);
    const auto& shape = mask.grid.shape;
    for (std::size_t x = 0; x < shape[0]; ++x) {
      for (std::size_t y = 0; y < shape[1]; ++y) {
        for (std::size_t z = 0; z < shape[2]; ++z) {
          const std::size_t i = mask.grid.index(x, y, z);
          if (mask.values[i] == 0 || std::isnan(mask.values[i])) continue;
          atlas.names_.push_back(std::to_string(x) + "_" + std::to_string(y) + "_" +
                                 std::to_string(z));
          atlas.voxels_.push_back({i});
        }
      }
    }
    atlas.check(where);
    return atlas;
  }

  [[nodiscard]] const VolumeGrid& grid() const { return grid_; }
  [[nodiscard]] std::size_t size() const { return names_.size(); }
  /// The labels, or the voxels' indices.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  /// Places of a target's voxels in a volume's values.
  [[nodiscard]] std::span<const std::size_t> voxels(std::size_t target) const {
    return voxels_[target];
  }

  /// The volume in which every voxel has its target's value; NaN where there is no target. values:
  /// [targets]. Throws Error for another number of values.
  [[nodiscard]] Volume paint(std::span<const float> values) const {
    if (values.size() != size()) {
      throw Error(std::to_string(values.size()) + " values for " + std::to_string(size()) +
                      " parcels or voxels",
                  "Atlas::paint", "give the atlas or mask that the values were made with");
    }
    Volume volume{grid_, std::vector<float>(grid_.size(), std::numeric_limits<float>::quiet_NaN())};
    for (std::size_t target = 0; target < size(); ++target) {
      for (const std::size_t voxel : voxels_[target]) volume.values[voxel] = values[target];
    }
    return volume;
  }

  /// The atlas on another grid: each voxel there belongs to the target at its centre. Targets that
  /// no voxel falls into stay, without voxels.
  [[nodiscard]] Atlas on_grid(const VolumeGrid& grid) const {
    if (same_grid(grid, grid_)) return *this;
    std::vector<float> numbers(size());
    for (std::size_t target = 0; target < size(); ++target) {
      numbers[target] = static_cast<float>(target);
    }
    const Volume numbered = paint(numbers);
    const VolumeSampler sampler(numbered);
    Atlas result(grid);
    result.names_ = names_;
    result.voxels_.resize(size());
    for (std::size_t z = 0; z < grid.shape[2]; ++z) {
      for (std::size_t y = 0; y < grid.shape[1]; ++y) {
        for (std::size_t x = 0; x < grid.shape[0]; ++x) {
          const float target = sampler.nearest(grid.affine(
              {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)}));
          if (std::isnan(target)) continue;
          result.voxels_[static_cast<std::size_t>(target)].push_back(grid.index(x, y, z));
        }
      }
    }
    return result;
  }

 private:
  explicit Atlas(const VolumeGrid& grid) : grid_(grid) {}
  void check(const std::string& where) const {
    if (names_.empty()) throw Error("every voxel is 0", where, "give an atlas or a mask");
  }

  VolumeGrid grid_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::size_t>> voxels_;
};

}  // namespace VID2VOX::imaging
