#pragma once

// The component vid2vox::video: reading videos, writing GIF and MP4 (FFmpeg).

#include "vid2vox/io/gif.hpp"
#include "vid2vox/io/video.hpp"
#include "vid2vox/io/video_writer.hpp"
