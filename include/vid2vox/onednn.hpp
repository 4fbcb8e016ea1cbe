#pragma once

// The component vid2vox::onednn: the matrix products of layers by oneDNN.

#include "vid2vox/linalg/onednn.hpp"
