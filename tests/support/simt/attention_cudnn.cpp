// Stands in for cuDNN's attention where kernels run without a GPU: it has no plan.
#include "vid2vox/backend/cuda/attention/attention_cudnn.hpp"

namespace vid2vox::backend::cuda {

bool launch_attention_forward_by_cudnn(const AttentionParams& /*params*/, Stream /*stream*/) {
  return false;
}
bool launch_attention_backward_by_cudnn(const AttentionParams& /*params*/, Stream /*stream*/) {
  return false;
}

}  // namespace vid2vox::backend::cuda
