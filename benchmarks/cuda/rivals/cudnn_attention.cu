#include <utility>
#include <vector>

#include "cudnn_attention.hpp"
#include "vid2vox/backend/cuda/cudnn/graph.cuh"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace vid2vox::bench {
namespace {

namespace cudnn = backend::cuda::cudnn;
using cudnn::Descriptor;
enum TensorId : std::int64_t { kQ = 1, kK, kV, kO, kScale };

Descriptor tensor(TensorId id, cudnnDataType_t type, const AttentionTensor& at, bool by_value) {
  constexpr std::int64_t kAlignment = 16;  // bytes
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  result.set(CUDNN_ATTR_TENSOR_DIMENSIONS,
             std::vector<std::int64_t>(at.extents.begin(), at.extents.end()));
  result.set(CUDNN_ATTR_TENSOR_STRIDES,
             std::vector<std::int64_t>(at.strides.begin(), at.strides.end()));
  result.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, static_cast<std::int64_t>(id));
  result.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  if (by_value) result.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
  return std::move(result).finalized();
}

cudnn::Plan make(NumberType type, const AttentionTensor& q, const AttentionTensor& k,
                 const AttentionTensor& v, const AttentionTensor& o) {
  const cudnnDataType_t numbers = cudnn::data_type(type);
  std::vector<Descriptor> parts;
  parts.push_back(tensor(kQ, numbers, q, false));
  parts.push_back(tensor(kK, numbers, k, false));
  parts.push_back(tensor(kV, numbers, v, false));
  parts.push_back(tensor(kO, numbers, o, false));
  parts.push_back(tensor(kScale, CUDNN_DATA_FLOAT, {{1, 1, 1, 1}, {1, 1, 1, 1}}, true));
  Descriptor attention(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
  attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, parts[0]);
  attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, parts[1]);
  attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, parts[2]);
  attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, parts[3]);
  attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, parts[4]);
  parts.push_back(std::move(attention).finalized());
  const cudnn::Target target(cudnn::handle_on(backend::cuda::current_stream()));
  return cudnn::make_plan(target, std::move(parts), {}, "cuDNN's attention");
}

}  // namespace

struct CudnnAttention::Impl {
  cudnn::Plan plan;
  float scale;
  backend::cuda::DeviceBuffer<unsigned char> workspace;
};

CudnnAttention::CudnnAttention(NumberType type, const AttentionTensor& q, const AttentionTensor& k,
                               const AttentionTensor& v, const AttentionTensor& o, float scale)
    : impl_(std::make_unique<Impl>(Impl{make(type, q, k, v, o), scale, {}})) {
  impl_->workspace = backend::cuda::DeviceBuffer<unsigned char>(impl_->plan.workspace_bytes);
}
CudnnAttention::CudnnAttention(CudnnAttention&&) noexcept = default;
CudnnAttention& CudnnAttention::operator=(CudnnAttention&&) noexcept = default;
CudnnAttention::~CudnnAttention() = default;

void CudnnAttention::forward(const void* q, const void* k, const void* v, void* o) {
  cudnn::execute(cudnn::handle_on(backend::cuda::current_stream()), impl_->plan,
                 {{kQ, q}, {kK, k}, {kV, v}, {kO, o}, {kScale, &impl_->scale}},
                 impl_->workspace.data());
}

}  // namespace vid2vox::bench
