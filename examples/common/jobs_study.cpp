#include "common/model_jobs_impl.hpp"

namespace vid2vox::examples {

const ModelJobs& study_jobs() {
  static const PresetJobs<presets::Study> jobs;
  return jobs;
}

}  // namespace vid2vox::examples
