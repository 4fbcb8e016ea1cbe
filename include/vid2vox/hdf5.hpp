#pragma once

// The component vid2vox::hdf5: clips and arrays from HDF5.

#include "vid2vox/io/hdf5.hpp"
#include "vid2vox/io/hdf5_file.hpp"
#include "vid2vox/io/time_series.hpp"
