#pragma once

// The component vid2vox::nifti: NIfTI volumes (libnifti2) and GIFTI surfaces (expat).

#include "vid2vox/io/gifti.hpp"
#include "vid2vox/io/nifti.hpp"
