#pragma once

#include <vector>

#include "demo/brain_simulator.hpp"
#include "vid2vox/runtime/brain_map_pipeline.hpp"
#include "vid2vox/runtime/features.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace vid2vox::demo {

/// What the demo has found.
struct DemoResult {
  std::vector<Parcel> parcels;
  runtime::PipelineResult pipeline;
  vid2vox::pipeline::EncodingResult pixels{};     // baseline
  vid2vox::pipeline::EncodingResult untrained{};  // baseline
};

/// The parcels' places and drivers, for runtime::write_map.
std::vector<report::MapParcel> map_parcels(const std::vector<Parcel>& parcels);

/// Writes encoding_map.png, scores_by_driver.png, summary.json and report.html into the output
/// folder, and prints the summary table. Ends the timer's last stage.
void write_demo_report(const runtime::PipelineOptions& options, const DemoResult& result,
                       runtime::StageTimer& timer);

}  // namespace vid2vox::demo
