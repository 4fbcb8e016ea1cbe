#pragma once

// All operations on the CPU: what a unit that instantiates models for it includes.

#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/graph.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/backend/cpu/streamed_product.hpp"
