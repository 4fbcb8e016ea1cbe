#pragma once

#include <utility>

#include "vid2vox/pipeline/encoding_data.hpp"
#include "vid2vox/pipeline/encoding_options.hpp"
#include "vid2vox/pipeline/encoding_result.hpp"
#include "vid2vox/pipeline/internal/study.hpp"

namespace VID2VOX::pipeline {

/// The encoding model of a set of runs, from features and targets on one clock to scores:
/// standardize, reduce, delay, drop incomplete rows, fit, predict, score, test. Throws Error for
/// segments that are empty or overlap, or if too few rows are left to train or to test.
inline EncodingResult run_encoding_study(EncodingData data, const EncodingOptions& options) {
  if (options.float64) {
    return internal::EncodingStudy<double>(std::move(data), options).run();
  }
  return internal::EncodingStudy<float>(std::move(data), options).run();
}

}  // namespace VID2VOX::pipeline
