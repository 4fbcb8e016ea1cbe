#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/encoding/alignment.hpp"
#include "vid2vox/runtime/model_jobs.hpp"

namespace vid2vox::runtime {

/// Features for clips that begin `stride` frames apart, each with the clip before it: where a
/// stride is longer than a clip, the clips between are only there to come before.
inline FeatureJob feature_job(const std::filesystem::path& gpt, const ModelJobs& jobs,
                              std::shared_ptr<const io::FrameSource> source, std::size_t run,
                              int stride) {
  const int length = jobs.clip().t;
  if (length % stride != 0 && stride % length != 0) {
    throw Error(fmt::format("{} frames are no divisor or multiple of a clip's {}", stride, length),
                "the stride of the clips with features", "choose another");
  }
  return {.gpt = gpt,
          .clips =
              io::ClipSet(std::move(source), {.frames = length, .stride = std::min(stride, length)},
                          std::vector<std::size_t>{run}),
          .layer = "",
          .every = static_cast<std::size_t>(std::max(1, stride / length))};
}

/// Features of one run on the BOLD's clock: teacher-forced activations of a layer, averaged over
/// the clips in each TR's window. n_tr: rows of the result.
inline encoding::AlignedFeatures run_features(const ModelJobs& jobs, const FeatureJob& job,
                                              std::size_t n_tr,
                                              const encoding::WindowOptions& window) {
  std::optional<encoding::WindowAverage> average;
  const std::size_t without =
      jobs.extract(job, [&](const io::ClipInfo& clip, std::span<const float> values) {
        if (!average) average.emplace(n_tr, values.size(), window);
        average->add({.start_s = clip.start_s, .end_s = clip.end_s}, values);
      });
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
  throw Error("'" + text + "' is no window", "--window",
              "give first:last with 0 <= first < last in TR before the sample, for example 0:1 or "
              "3:5");
}

}  // namespace vid2vox::runtime
