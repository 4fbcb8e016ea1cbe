#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/alignment.hpp"
#include "vid2vox/io/clips.hpp"

// From the features of clips to features on the BOLD's clock.

namespace VID2VOX::pipeline {

/// The clips of one run that get features, with those that only come before them.
struct FeatureClips {
  io::ClipSet clips;
  /// Of the clips that follow another, every so many get features.
  std::size_t every = 1;
};

/// Clips of `length` frames that begin `stride` frames apart, each with the clip before it: where a
/// stride is longer than a clip, the clips between are only there to come before. Throws Error
/// where the stride is neither a divisor nor a multiple of the length.
inline FeatureClips feature_clips(std::shared_ptr<const io::FrameSource> source, std::size_t run,
                                  int length, int stride) {
  if (stride < 1 || length < 1 || (length % stride != 0 && stride % length != 0)) {
    throw Error(std::to_string(stride) +
                    " frames are neither a divisor nor a multiple of a clip's " +
                    std::to_string(length),
                "the stride of the clips with features", "choose another");
  }
  return {.clips =
              io::ClipSet(std::move(source), {.frames = length, .stride = std::min(stride, length)},
                          std::vector<std::size_t>{run}),
          .every = static_cast<std::size_t>(std::max(1, stride / length))};
}

/// Takes a clip and its features.
using ClipFeatureSink = std::function<void(const io::ClipInfo&, std::span<const float>)>;

/// Features of one run, [n_tr, features]: for each TR the mean over the clips in its window.
/// extract(sink) calls sink for each clip, and returns how many clips had no clip before them.
template <class Extract>
encoding::AlignedFeatures align_features(std::size_t n_tr, const encoding::WindowOptions& window,
                                         const Extract& extract) {
  std::optional<encoding::WindowAverage> average;
  const ClipFeatureSink sink = [&](const io::ClipInfo& clip, std::span<const float> values) {
    if (!average) average.emplace(n_tr, values.size(), window);
    average->add({.start_s = clip.start_s, .end_s = clip.end_s}, values);
  };
  const std::size_t without = extract(sink);
  if (!average) {
    throw Error("no clip has features", "align_features", "give a video of at least two clips");
  }
  for (std::size_t i = 0; i < without; ++i) {
    average->skip_event("a clip without a clip before it");
  }
  return average->finish();
}

/// "A:B" in TR before the sample. Throws Error on anything else.
inline encoding::WindowOptions parse_window(const std::string& text, double tr_s) {
  const std::size_t colon = text.find(':');
  try {
    std::size_t first_end = 0;
    std::size_t last_end = 0;
    const std::string last_text = colon == std::string::npos ? "" : text.substr(colon + 1);
    const double first = std::stod(text, &first_end);
    const double last = std::stod(last_text, &last_end);
    if (first_end == colon && last_end == last_text.size() && first >= 0 && last > first) {
      return {.tr_s = tr_s, .first = first, .last = last};
    }
  } catch (const std::logic_error&) {
    // no numbers: reported below, with the other ways to be wrong
  }
  throw Error("'" + text + "' is not a window", "--window",
              "give first:last with 0 <= first < last in TR before the sample, for example 0:1 or "
              "3:5");
}

}  // namespace VID2VOX::pipeline
