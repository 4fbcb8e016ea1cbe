#pragma once

// The component vid2vox::lapack: the ridge's linear algebra by OpenBLAS and LAPACK.

#include "vid2vox/linalg/lapack.hpp"
