#pragma once

// The component vid2vox::report: maps, curves and HTML (cairo).

#include "vid2vox/report/axes.hpp"
#include "vid2vox/report/brain_slices.hpp"
#include "vid2vox/report/clips.hpp"
#include "vid2vox/report/curves.hpp"
#include "vid2vox/report/encoding_map.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/report/glass_brain.hpp"
#include "vid2vox/report/map_scale.hpp"
#include "vid2vox/report/surface_map.hpp"
