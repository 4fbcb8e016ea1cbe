#include "vid2vox/runtime/encoding_job.hpp"

#include <string>
#include <utility>

#include "vid2vox/pipeline/encoding_study.hpp"
#include "vid2vox/runtime/interrupt.hpp"

namespace vid2vox::runtime {

pipeline::EncodingResult run_encoding_job(pipeline::EncodingData data,
                                          pipeline::EncodingOptions options, StageTimer& timer) {
  options.begin_stage = [&timer](const std::string& stage) { timer.start(stage); };
  options.check = [](const std::string& what) { stop_if_interrupted(what); };
  pipeline::EncodingResult result = pipeline::run_encoding_study(std::move(data), options);
  timer.finish();
  return result;
}

}  // namespace vid2vox::runtime
