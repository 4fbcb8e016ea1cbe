// A program that uses each component's library through the installed headers: a GIF is written,
// a missing file is refused, a figure is drawn.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#ifdef WITH_video
#include "vid2vox/io/gif.hpp"
#include "vid2vox/io/video.hpp"
#endif
#ifdef WITH_hdf5
#include "vid2vox/io/hdf5.hpp"
#endif
#ifdef WITH_arrays
#include "vid2vox/io/npz.hpp"
#endif
#ifdef WITH_nifti
#include "vid2vox/io/nifti.hpp"
#endif
#ifdef WITH_report
#include "vid2vox/report/figure.hpp"
#endif

namespace {

int failures = 0;

[[maybe_unused]] void expect(bool condition, const char* what) {
  std::printf("%s: %s\n", what, condition ? "yes" : "NO");
  if (!condition) ++failures;
}

template <class Action>
[[maybe_unused]] bool throws_error(const Action& action) {
  try {
    action();
  } catch (const vid2vox::Error& error) {
    return std::string(error.what()).find("absent") != std::string::npos;
  }
  return false;
}

}  // namespace

int main() {
#ifdef WITH_video
  constexpr int kSide = 16;
  constexpr std::size_t kFrames = 4;
  const std::vector<std::uint8_t> frames(kFrames * kSide * kSide * 3, 200);
  vid2vox::io::write_gif("consumer.gif", frames, kSide, kSide, 10);
  std::FILE* written = std::fopen("consumer.gif", "rb");
  expect(written != nullptr, "a GIF was written");
  if (written != nullptr) std::fclose(written);
  std::remove("consumer.gif");
#endif
#ifdef WITH_hdf5
  expect(throws_error([] { vid2vox::io::open_hdf5_frames("absent.h5"); }),
         "a missing HDF5 file is refused by name");
#endif
#ifdef WITH_arrays
  expect(throws_error([] { vid2vox::io::NpzFile("absent.npz"); }),
         "a missing npz file is refused by name");
#endif
#ifdef WITH_nifti
  expect(throws_error([] { vid2vox::io::NiftiFile("absent.nii"); }),
         "a missing NIfTI file is refused by name");
#endif
#ifdef WITH_report
  const vid2vox::report::Figure figure(8, 4, 2);
  expect(figure.pixel_width() == 16 && figure.pixel_height() == 8, "a figure has its size");
#endif
  return failures == 0 ? 0 : 1;
}
