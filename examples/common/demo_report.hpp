#pragma once

#include <vector>

#include "common/brain_map_pipeline.hpp"
#include "common/brain_simulator.hpp"
#include "common/features.hpp"
#include "common/interrupt.hpp"
#include "common/stages.hpp"

namespace vid2vox::examples {

/// What the demo has found.
struct DemoResult {
  std::vector<demo::Parcel> parcels;
  PipelineResult pipeline;
  RidgeJobResult pixels{};     // baseline
  RidgeJobResult untrained{};  // baseline
};

/// Writes encoding_map.png, scores_by_driver.png, summary.json and report.html into the output
/// folder, and prints the summary table. Ends the timer's last stage.
void write_demo_report(const PipelineOptions& options, const DemoResult& result, StageTimer& timer);

}  // namespace vid2vox::examples
