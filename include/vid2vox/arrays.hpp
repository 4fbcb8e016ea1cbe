#pragma once

// The component vid2vox::arrays: npz files and tables, plain or compressed (libzip, zlib).

#include "vid2vox/io/events.hpp"
#include "vid2vox/io/npz.hpp"
#include "vid2vox/io/table.hpp"
