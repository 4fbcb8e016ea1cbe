#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::encoding {

/// When a clip was on the screen, in seconds from the start of the BOLD run. `end_s` is the time of
/// the clip's last frame.
struct ClipTime {
  double start_s = 0;
  double end_s = 0;
};

/// Samples of a BOLD run of this length: at k * tr_s for every k whose time lies within the run or
/// at its end.
inline std::size_t sample_count(double seconds, double tr_s) {
  constexpr double kRounding = 1e-9;  // of times that are products of decimal fractions
  return static_cast<std::size_t>(std::floor(seconds / tr_s + kRounding)) + 1;
}

/// Which clips explain a TR. The BOLD sample k is taken at t_k = k * tr_s; its clips are those
/// whose last frame lies in (t_k - last * tr_s, t_k - first * tr_s]. With first = 0, last = 1 every
/// clip belongs to one TR and delays are left to the ridge (delays.hpp); first = 3, last = 5 is the
/// window of the study (arXiv 2410.19810), used without delays.
struct WindowOptions {
  double tr_s = 0;   // repetition time, seconds
  double first = 0;  // TR before the sample; not negative, so no frame is later than the sample
  double last = 1;   // TR before the sample; larger than `first`
};

/// A TR without features.
struct DroppedTr {
  std::size_t index = 0;
  std::string reason;
};

/// Features on the BOLD's clock.
struct AlignedFeatures {
  xt::xtensor<float, 2> values;             // [n_tr, d]; NaN in the rows of dropped TRs
  std::vector<std::size_t> clips_per_tr;    // [n_tr]
  std::vector<DroppedTr> dropped;           // in order of index
  std::size_t clips = 0;                    // clips offered
  std::size_t unused_clips = 0;             // clips in no TR's window
  std::vector<std::string> skipped_events;  // one reason for each event that gave no clips
};

/// Mean of clip features over each TR's window, one clip at a time, so that the features of all
/// clips never have to be in memory together.
class WindowAverage {
 public:
  /// d: features a clip. Throws Error for a TR that is not positive, a window that is empty or that
  /// would reach past the BOLD sample.
  WindowAverage(std::size_t n_tr, std::size_t d, const WindowOptions& options)
      : options_(options), result_{} {
    if (!(options.tr_s > 0) || !std::isfinite(options.tr_s)) {
      throw Error("TR of " + std::to_string(options.tr_s) + " s", "alignment window",
                  "give the repetition time in seconds, larger than 0");
    }
    if (!(options.first >= 0) || !(options.last > options.first) || !std::isfinite(options.last)) {
      throw Error("window from " + std::to_string(options.first) + " to " +
                      std::to_string(options.last) + " TR before the sample",
                  "alignment window",
                  "choose 0 <= first < last: features never come from after the BOLD sample");
    }
    result_.values = xt::xtensor<float, 2>::from_shape({n_tr, d});
    result_.values.fill(0.0F);
    result_.clips_per_tr.assign(n_tr, 0);
  }

  /// Adds one clip's features [d] to every TR whose window holds its last frame. Throws Error when
  /// the number of features differs, a time is not finite or the clip ends before it starts.
  void add(const ClipTime& clip, std::span<const float> features) {
    const std::size_t d = result_.values.shape(1);
    const std::string where = "clip " + std::to_string(result_.clips);
    if (features.size() != d) {
      throw Error(
          std::to_string(features.size()) + " features, the clips before have " + std::to_string(d),
          where, "take the features of all clips from one layer");
    }
    if (!std::isfinite(clip.start_s) || !std::isfinite(clip.end_s) || clip.end_s < clip.start_s) {
      throw Error(
          "times " + std::to_string(clip.start_s) + " s to " + std::to_string(clip.end_s) + " s",
          where, "a clip's last frame cannot be before its first");
    }
    ++result_.clips;
    bool used = false;
    const std::size_t n_tr = result_.values.shape(0);
    for (std::size_t k = first_candidate(clip.end_s); k < n_tr; ++k) {
      const double sample_s = static_cast<double>(k) * options_.tr_s;
      if (clip.end_s <= sample_s - options_.last * options_.tr_s + kTie_s) break;
      if (clip.end_s > sample_s - options_.first * options_.tr_s + kTie_s) continue;
      float* row = result_.values.data() + k * d;
      for (std::size_t i = 0; i < d; ++i) row[i] += features[i];
      ++result_.clips_per_tr[k];
      used = true;
    }
    if (!used) ++result_.unused_clips;
  }

  /// An event (row of a stimulus table) that gave no clips, with its reason.
  void skip_event(std::string reason) { result_.skipped_events.push_back(std::move(reason)); }

  /// Divides the sums by their counts and marks the TRs without clips. Call once.
  AlignedFeatures finish() {
    const std::size_t n_tr = result_.values.shape(0);
    const std::size_t d = result_.values.shape(1);
    for (std::size_t k = 0; k < n_tr; ++k) {
      float* row = result_.values.data() + k * d;
      const std::size_t count = result_.clips_per_tr[k];
      if (count == 0) {
        std::fill(row, row + d, std::numeric_limits<float>::quiet_NaN());
        result_.dropped.push_back({k, reason_without_clips(k)});
        continue;
      }
      for (std::size_t i = 0; i < d; ++i) row[i] /= static_cast<float>(count);
    }
    return std::move(result_);
  }

 private:
  // Times are sums and products of decimal fractions: a clip that ends at a window's bound to
  // within a nanosecond ends at the bound.
  static constexpr double kTie_s = 1e-9;

  [[nodiscard]] std::size_t first_candidate(double end_s) const {
    const double k = std::floor(end_s / options_.tr_s + options_.first) - 1;
    return k > 0 ? static_cast<std::size_t>(k) : 0;
  }

  [[nodiscard]] std::string reason_without_clips(std::size_t k) const {
    const double end = (static_cast<double>(k) - options_.first) * options_.tr_s;
    if (end <= 0) return "its window lies before the start of the run";
    return "no clip ends in its window";
  }

  WindowOptions options_;
  AlignedFeatures result_;
};

/// Features of clips to features of TRs. features: [n_clips, d]; clips: [n_clips], any order.
/// Returns values [n_tr, d]. Throws Error as WindowAverage, and when the counts differ.
inline AlignedFeatures align_to_tr(const xt::xtensor<float, 2>& features,
                                   std::span<const ClipTime> clips, std::size_t n_tr,
                                   const WindowOptions& options) {
  if (features.shape(0) != clips.size()) {
    throw Error("features of " + std::to_string(features.shape(0)) + " clips, times of " +
                    std::to_string(clips.size()),
                "alignment", "give one time per clip");
  }
  const std::size_t d = features.shape(1);
  WindowAverage average(n_tr, d, options);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    average.add(clips[i], std::span<const float>(features.data() + i * d, d));
  }
  return average.finish();
}

/// The outcome in words: how many TRs have features, which were dropped and why, which events were
/// skipped. Consecutive TRs with one reason are written as a range.
inline std::string describe(const AlignedFeatures& aligned) {
  const std::size_t n_tr = aligned.values.shape(0);
  std::string text = std::to_string(n_tr - aligned.dropped.size()) + " of " + std::to_string(n_tr) +
                     " TRs have features from " + std::to_string(aligned.clips) + " clips";
  if (aligned.unused_clips > 0) {
    text += " (" + std::to_string(aligned.unused_clips) + " clips outside every window)";
  }
  const auto& dropped = aligned.dropped;
  for (std::size_t i = 0; i < dropped.size();) {
    std::size_t j = i + 1;
    while (j < dropped.size() && dropped[j].index == dropped[j - 1].index + 1 &&
           dropped[j].reason == dropped[i].reason) {
      ++j;
    }
    text += i == 0 ? "; dropped TR " : ", TR ";
    text += std::to_string(dropped[i].index);
    if (j > i + 1) text.append("-").append(std::to_string(dropped[j - 1].index));
    text += " (" + dropped[i].reason + ")";
    i = j;
  }
  if (!aligned.skipped_events.empty()) {
    text += "; skipped " + std::to_string(aligned.skipped_events.size()) + " events: ";
    for (std::size_t i = 0; i < aligned.skipped_events.size(); ++i) {
      text += (i == 0 ? "" : ", ") + aligned.skipped_events[i];
    }
  }
  return text;
}

}  // namespace VID2VOX::encoding
