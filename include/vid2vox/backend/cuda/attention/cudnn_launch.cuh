#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "vid2vox/backend/cuda/attention/cudnn_plan.cuh"

namespace vid2vox::backend::cuda {
namespace attention {

/// What a plan depends on.
using PlanKey = std::array<std::int64_t, 14>;

inline PlanKey plan_key(const AttentionParams& p, Pass pass, int device) {
  return {device,
          static_cast<std::int64_t>(pass),
          static_cast<std::int64_t>(p.number_type),
          p.causal,
          p.batch,
          p.heads,
          p.queries.rows,
          p.queries.width,
          p.queries.row_stride,
          p.keys.rows,
          p.keys.row_stride,
          p.values.width,
          p.values.row_stride,
          p.outputs.row_stride};
}

/// The plan for a pass on the current device; a null pointer where there is none.
inline const cudnn::Plan* plan_for(cudnnHandle_t handle, const AttentionParams& p, Pass pass) {
  static auto* const plans = new cudnn::PlanCache<PlanKey>();
  return plans->get(plan_key(p, pass, backend::cuda::internal::current_device()),
                    [&] { return find_attention_plan(cudnn::Target(handle), p, pass); });
}

inline std::size_t query_rows(const AttentionParams& p) {
  return static_cast<std::size_t>(p.batch * p.heads * p.queries.rows);
}

/// What one call of cuDNN reads and writes. The scalars are read on the host while it is called.
class Call {
 public:
  Call(const AttentionParams& p, const void* o, const float* log_sum)
      : scale_(p.scale), bindings_{{kQ, p.q}, {kK, p.k},          {kV, p.v},
                                   {kO, o},   {kLogSum, log_sum}, {kScale, &scale_}} {
    if (p.causal) bindings_.push_back({kHiddenScore, &hidden_score_});
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void add_gradients(const AttentionParams& p, const float* inner) {
    for (const cudnn::Binding& binding : {cudnn::Binding{kDO, p.d_o},
                                          {kDQ, p.d_q},
                                          {kDK, p.d_k},
                                          {kDV, p.d_v},
                                          {kInner, inner},
                                          {kOne, &one_}}) {
      bindings_.push_back(binding);
    }
  }
  void run(cudnnHandle_t handle, const cudnn::Plan& plan, Stream stream) const {
    cudnn::run(handle, plan, bindings_, stream);
  }

 private:
  float scale_;
  float hidden_score_ = -std::numeric_limits<float>::infinity();
  float one_ = 1;
  std::vector<cudnn::Binding> bindings_;
};

}  // namespace attention

VID2VOX_CUDA_LINKAGE bool launch_attention_forward_by_cudnn(const AttentionParams& p,
                                                            Stream stream) {
  namespace a = attention;
  const cudnnHandle_t handle = cudnn::handle_on(stream);
  const cudnn::Plan* plan = a::plan_for(handle, p, a::Pass::kForward);
  if (plan == nullptr) return false;
  DeviceBuffer<float> log_sum(a::query_rows(p), stream);
  a::Call(p, p.o, log_sum.data()).run(handle, *plan, stream);
  return true;
}

/// Nothing is kept between the passes, so the forward pass is repeated for its sums.
VID2VOX_CUDA_LINKAGE bool launch_attention_backward_by_cudnn(const AttentionParams& p,
                                                             Stream stream) {
  namespace a = attention;
  // cuDNN stores the gradient of all scores. Beyond this a part of the scores at a time is the
  // better choice.
  constexpr std::size_t kLargestWorkspace = std::size_t{1} << 30U;
  const cudnnHandle_t handle = cudnn::handle_on(stream);
  const cudnn::Plan* backward = a::plan_for(handle, p, a::Pass::kBackward);
  if (backward == nullptr || backward->workspace_bytes > kLargestWorkspace) return false;
  const cudnn::Plan* forward = a::plan_for(handle, p, a::Pass::kForward);
  if (forward == nullptr) return false;
  DeviceBuffer<std::byte> o(
      static_cast<std::size_t>(p.batch * p.outputs.batch_stride) * size_of(p.number_type), stream);
  DeviceBuffer<float> log_sum(a::query_rows(p), stream);
  DeviceBuffer<float> inner(a::query_rows(p), stream);
  a::Call call(p, o.data(), log_sum.data());
  call.run(handle, *forward, stream);
  call.add_gradients(p, inner.data());
  call.run(handle, *backward, stream);
  return true;
}

}  // namespace vid2vox::backend::cuda
