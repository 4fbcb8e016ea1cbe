#pragma once

#include <filesystem>

#include "vid2vox/pipeline/encoding_data.hpp"
#include "vid2vox/pipeline/encoding_options.hpp"
#include "vid2vox/pipeline/encoding_result.hpp"
#include "vid2vox/runtime/stages.hpp"

// An encoding study as programs run it (fit_ridge, video_to_brain_map, the demo): compiled once,
// timed, stopped by Ctrl-C, and written to files.

namespace vid2vox::runtime {

/// pipeline::run_encoding_study with its stages on the timer: sets begin_stage and check of the
/// options. Throws Stopped if the user asked to stop, and what the study throws.
pipeline::EncodingResult run_encoding_job(pipeline::EncodingData data,
                                          pipeline::EncodingOptions options, StageTimer& timer);

/// Makes the folder for results, with those above it. Throws Error if that fails.
void make_folder(const std::filesystem::path& folder);

/// Writes scores.csv (further columns for what was asked for) and summary.json (with the options,
/// seconds and peak memory), and predictions.npy, test_targets.npy, test_rows.npy, weights.npy as
/// far as they were kept, into `folder`, which is made. Each file appears only when complete, in
/// the place of an earlier one.
void write_results(const std::filesystem::path& folder, const pipeline::EncodingResult& result,
                   const pipeline::EncodingOptions& options, StageTimer& timer);

}  // namespace vid2vox::runtime
