#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/clips.hpp"
#include "vid2vox/io/hdf5_file.hpp"

namespace VID2VOX::io {

/// How stored frames are presented.
struct Hdf5FrameOptions {
  /// Rate of the stored frames in Hz; the files do not say.
  double frame_rate = 15;
  /// Wanted size; 0 keeps the stored size. A stored side must be a whole multiple of the wanted
  /// one, and frames are then averaged over areas.
  int height = 0;
  int width = 0;
};

/// Frames in HDF5 datasets, read on demand. Reading is safe from several threads (one at a time
/// reads); other HDF5 calls of the program must not run at the same time.
class Hdf5Frames : public FrameSource {
 public:
  [[nodiscard]] std::size_t run_count() const override { return runs_.size(); }
  [[nodiscard]] std::string run_name(std::size_t run) const override { return runs_.at(run).name; }
  [[nodiscard]] std::size_t frame_count(std::size_t run) const override {
    return runs_.at(run).count;
  }
  [[nodiscard]] double frame_rate() const override { return options_.frame_rate; }
  [[nodiscard]] int height() const override { return options_.height; }
  [[nodiscard]] int width() const override { return options_.width; }

  void read_frames(std::size_t run, std::size_t first, std::size_t count,
                   std::span<std::uint8_t> out) const override {
    check_request(run, first, count, out.size());
    const Run& chosen = runs_[run];
    std::vector<std::uint8_t> stored(count * stored_height_ * stored_width_ * kColors);
    datasets_[chosen.dataset].read_rows<std::uint8_t>(chosen.first + first, count, stored);
    const std::size_t frame = stored.size() / std::max<std::size_t>(count, 1);
    for (std::size_t i = 0; i < count; ++i) {
      shrink(std::span<const std::uint8_t>(stored).subspan(i * frame, frame),
             out.subspan(i * frame_bytes(), frame_bytes()));
    }
  }

 protected:
  static constexpr std::size_t kColors = 3;
  enum class Layout : std::uint8_t { kChannelsLast, kChannelsFirst };  // [n,h,w,3], [n,3,h,w]

  struct Run {
    std::string name;
    std::size_t dataset = 0;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  Hdf5Frames(const std::filesystem::path& path, Layout layout, Hdf5FrameOptions options)
      : file_(path), layout_(layout), options_(options) {
    if (!(options.frame_rate > 0) || options.height < 0 || options.width < 0) {
      throw Error("frame rate or size out of range", file_.name(),
                  "give a rate above 0 Hz and sizes from 0 up");
    }
  }

  /// Checks a dataset's type and shape; the first one fixes the size of all. Returns its index.
  std::size_t add_dataset(const std::string& name) {
    Hdf5Dataset dataset = file_.dataset(name);
    const bool last = layout_ == Layout::kChannelsLast;
    constexpr std::size_t kRank = 4;
    const auto& shape = dataset.shape();
    if (!dataset.is_bytes() || shape.size() != kRank || shape[last ? 3 : 1] != kColors) {
      throw Error("has shape " + dataset.shape_text() + " and " +
                      std::to_string(dataset.item_bytes()) + "-byte elements, not uint8 " +
                      (last ? "[n, height, width, 3]" : "[n, 3, height, width]"),
                  dataset.where(), "store the frames in that shape as uint8");
    }
    const auto height = static_cast<std::size_t>(shape[last ? 1 : 2]);
    const auto width = static_cast<std::size_t>(shape[last ? 2 : 3]);
    if (datasets_.empty()) {
      fix_size(height, width, dataset.where());
    } else if (height != stored_height_ || width != stored_width_) {
      throw Error("has frames of " + std::to_string(height) + " x " + std::to_string(width) +
                      ", but " + datasets_[0].where() + " of " + std::to_string(stored_height_) +
                      " x " + std::to_string(stored_width_),
                  dataset.where(), "store all frames of a file in one size");
    }
    datasets_.push_back(std::move(dataset));
    return datasets_.size() - 1;
  }

  [[nodiscard]] const Hdf5File& file() const { return file_; }
  [[nodiscard]] const Hdf5Dataset& dataset(std::size_t index) const { return datasets_[index]; }
  void add_run(Run run) { runs_.push_back(std::move(run)); }

 private:
  void fix_size(std::size_t height, std::size_t width, const std::string& where) {
    constexpr std::size_t kLargestSide = 16384;
    if (height < 1 || width < 1 || height > kLargestSide || width > kLargestSide) {
      throw Error("has frames of " + std::to_string(height) + " x " + std::to_string(width), where,
                  "store frames of 1 to 16384 pixels a side");
    }
    stored_height_ = height;
    stored_width_ = width;
    if (options_.height == 0) options_.height = static_cast<int>(height);
    if (options_.width == 0) options_.width = static_cast<int>(width);
    if (height % static_cast<std::size_t>(options_.height) != 0 ||
        width % static_cast<std::size_t>(options_.width) != 0) {
      throw Error("stored frames of " + std::to_string(height) + " x " + std::to_string(width) +
                      " cannot be averaged down to " + std::to_string(options_.height) + " x " +
                      std::to_string(options_.width),
                  where, "choose a size that divides the stored one, or store the frames again");
    }
  }

  /// One frame: mean over areas, rounded to the nearest byte; gives [height, width, 3].
  void shrink(std::span<const std::uint8_t> stored, std::span<std::uint8_t> out) const {
    const bool last = layout_ == Layout::kChannelsLast;
    const std::size_t pixel = last ? kColors : 1;
    const std::size_t color = last ? 1 : stored_height_ * stored_width_;
    const auto wide = static_cast<std::size_t>(width());
    const std::size_t by_y = stored_height_ / static_cast<std::size_t>(height());
    const std::size_t by_x = stored_width_ / wide;
    const std::size_t area = by_y * by_x;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t y = i / kColors / wide;
      const std::size_t x = i / kColors % wide;
      std::size_t sum = area / 2;
      for (std::size_t dy = 0; dy < by_y; ++dy) {
        const std::size_t row = (y * by_y + dy) * stored_width_ + x * by_x;
        for (std::size_t dx = 0; dx < by_x; ++dx) {
          sum += stored[(row + dx) * pixel + i % kColors * color];
        }
      }
      out[i] = static_cast<std::uint8_t>(sum / area);
    }
  }

  Hdf5File file_;
  Layout layout_;
  Hdf5FrameOptions options_;
  std::size_t stored_height_ = 0;
  std::size_t stored_width_ = 0;
  std::vector<Hdf5Dataset> datasets_;
  std::vector<Run> runs_;
};

/// VideoGPT's layout: {split}_data [n, height, width, 3] uint8 holds all videos one after the
/// other, {split}_idx the first frame of each.
class Hdf5VideoGptFrames : public Hdf5Frames {
 public:
  /// split: "train" or "test". Throws Error naming file and dataset if one is missing, has another
  /// type or shape, or if the index does not rise from 0 within the data.
  explicit Hdf5VideoGptFrames(const std::filesystem::path& path, const std::string& split = "train",
                              Hdf5FrameOptions options = {})
      : Hdf5Frames(path, Layout::kChannelsLast, options) {
    const std::size_t data = add_dataset(split + "_data");
    const auto frames = static_cast<std::size_t>(dataset(data).shape()[0]);
    const Hdf5Dataset index = file().dataset(split + "_idx");
    const bool integers =
        index.kind() == Hdf5Dataset::Kind::kSigned || index.kind() == Hdf5Dataset::Kind::kUnsigned;
    if (!integers || index.shape().size() != 1) {
      throw Error("has shape " + index.shape_text() + ", or does not hold integers", index.where(),
                  "store the first frame of each video as a list of integers");
    }
    const auto starts = index.read_all<std::int64_t>(file().bytes());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::int64_t start = starts(i);
      const bool wrong_order = i == 0 ? start != 0 : start <= starts(i - 1);
      if (wrong_order || static_cast<std::uint64_t>(start) >= frames) {
        throw Error("entry " + std::to_string(i) + " is " + std::to_string(start) +
                        ", but the starts must rise from 0 within the " + std::to_string(frames) +
                        " frames",
                    index.where(), "correct the index");
      }
      const std::size_t end =
          i + 1 < starts.size()
              ? static_cast<std::size_t>(std::max<std::int64_t>(starts(i + 1), start))
              : frames;
      add_run({.name = index.where() + "[" + std::to_string(i) + "]",
               .dataset = data,
               .first = static_cast<std::size_t>(start),
               .count = end - static_cast<std::size_t>(start)});
    }
    if (starts.size() == 0) {
      throw Error("lists no videos", index.where(), "store the first frame of each video");
    }
  }
};

/// The layout {subject}/{level}/{repetition}/frames [n, 3, height, width] uint8. Each repetition is
/// a run named by its path; runs are sorted by name.
class Hdf5NestedFrames : public Hdf5Frames {
 public:
  /// Throws Error naming file and dataset if there are no frames or they have another type or
  /// shape.
  explicit Hdf5NestedFrames(const std::filesystem::path& path, Hdf5FrameOptions options = {})
      : Hdf5Frames(path, Layout::kChannelsFirst, options) {
    const std::string leaf = "frames";
    for (const std::string& name : file().datasets(leaf)) {
      const std::size_t index = add_dataset(name);
      add_run({.name = name.substr(0, name.size() - std::min(name.size(), leaf.size() + 1)),
               .dataset = index,
               .first = 0,
               .count = static_cast<std::size_t>(dataset(index).shape()[0])});
    }
    if (run_count() == 0) {
      throw Error("no dataset named 'frames', and no 'train_data'", file().name(),
                  "give a file in VideoGPT's layout or {subject}/{level}/{repetition}/frames");
    }
  }
};

/// Opens either layout: VideoGPT's if the file has {split}_data, {split}_idx or the other split's,
/// else the nested one.
inline std::shared_ptr<const FrameSource> open_hdf5_frames(const std::filesystem::path& path,
                                                           const std::string& split = "train",
                                                           Hdf5FrameOptions options = {}) {
  const Hdf5File file(path);
  if (file.contains("train_data") || file.contains("test_data") || file.contains(split + "_data")) {
    return std::make_shared<Hdf5VideoGptFrames>(path, split, options);
  }
  return std::make_shared<Hdf5NestedFrames>(path, options);
}

}  // namespace VID2VOX::io
