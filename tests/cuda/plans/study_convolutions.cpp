// Runs the study's models once, with convolutions that only note their geometry: so the list cannot
// differ from what the models compute.
#include "cuda/plans/study_convolutions.hpp"

#include <algorithm>

#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/models/presets.hpp"

namespace vid2vox {
namespace {

using testing::StudyConvolution;

std::vector<StudyConvolution>& noted() {
  static std::vector<StudyConvolution> list;
  return list;
}

void note(StudyConvolution::Product product, const ops::Conv3dGeometry& geometry) {
  const StudyConvolution one{product, geometry};
  if (std::find(noted().begin(), noted().end(), one) == noted().end()) noted().push_back(one);
}

}  // namespace

namespace ops {

template <>
struct Conv3d<cpu> {
  template <class... Rest>
  static void forward(const Conv3dGeometry& g, Rest...) {
    note(StudyConvolution::Product::kForward, g);
  }
  template <class... Rest>
  static void data_gradient(const Conv3dGeometry& g, Rest...) {
    note(StudyConvolution::Product::kDataGradient, g);
  }
  template <class... Rest>
  static void weight_gradient(const Conv3dGeometry& g, Rest...) {
    note(StudyConvolution::Product::kWeightGradient, g);
  }
};

}  // namespace ops

namespace {

/// Forward and backward of a part of a model for one sample of zeros. `input_gradient`: whether
/// training needs it.
template <class Part, SampleShape S>
void pass(bool input_gradient) {
  Buffer<float> parameters(Part::parameter_count, 0);
  Buffer<float> buffers(Part::buffer_count + 1, 0);
  Buffer<float> gradients(Part::parameter_count, 0);
  Buffer<float> x(S.size(), 0);
  Buffer<float> dx(S.size(), 0);
  constexpr std::size_t kOut = Part::template output_shape<S>().size();
  Buffer<float> y(kOut, 0);
  Buffer<float> dy(kOut, 0);
  Buffer<float> saved(Part::template saved_count<S>(1), 0);
  Buffer<float> scratch(Part::template scratch_count<S>(1), 0);
  Context<float> context;
  context.training = true;
  context.scratch = Workspace<float>(scratch.data(), scratch.size());
  const State<float> state(parameters.data(), buffers.data());
  Part::template forward<S>(context, state, x.data(), y.data(), saved.data());
  Part::template backward<S>(context, state, x.data(), saved.data(), dy.data(),
                             input_gradient ? dx.data() : nullptr, gradients.data());
}

template <class Preset>
void note_models() {
  using Model = presets::VqvaeOf<Preset, Policy<fp32, cpu>>;
  pass<typename Model::Encoder, Model::kClip>(false);
  pass<typename Model::PreVq, Model::kHidden>(true);
  pass<typename Model::PostVq, Model::kLatent>(true);
  pass<typename Model::Decoder, Model::kHidden>(true);
  using Gpt = presets::GptOf<Preset, Policy<fp32, cpu>>;
  pass<typename Gpt::Resnet, Model::kLatent>(false);
}

}  // namespace

std::vector<StudyConvolution> testing::study_convolutions() {
  noted().clear();
  note_models<presets::Study>();
  note_models<presets::VideoGpt>();
  return noted();
}

}  // namespace vid2vox
