#include "common/model_jobs_impl.hpp"

namespace vid2vox::examples {

const ModelJobs& tiny_jobs() {
  static const PresetJobs<presets::Tiny> jobs;
  return jobs;
}

}  // namespace vid2vox::examples
