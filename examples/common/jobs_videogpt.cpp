#include "common/model_jobs_impl.hpp"

namespace vid2vox::examples {

const ModelJobs& videogpt_jobs() {
  static const PresetJobs<presets::VideoGpt> jobs;
  return jobs;
}

}  // namespace vid2vox::examples
