#include "vid2vox/vid2vox.hpp"
