#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vid2vox/pipeline/aligned_features.hpp"
#include "vid2vox/runtime/video_model.hpp"

namespace vid2vox::runtime {

/// Features of one run on the BOLD's clock: teacher-forced activations of a layer, averaged over
/// the clips in each TR's window. n_tr: rows of the result.
inline encoding::AlignedFeatures run_features(VideoModel& model,
                                              const pipeline::FeatureClips& clips,
                                              const std::string& layer, pipeline::Pooling pooling,
                                              std::size_t n_tr,
                                              const encoding::WindowOptions& window) {
  const FeatureRequest request{
      .clips = clips.clips, .layers = {layer}, .pooling = pooling, .every = clips.every};
  return pipeline::align_features(n_tr, window, [&](const pipeline::ClipFeatureSink& sink) {
    return model.features(request, [&](const io::ClipInfo& clip, std::size_t /*layer*/,
                                       std::span<const float> values) { sink(clip, values); });
  });
}

}  // namespace vid2vox::runtime
