# Finds what the enabled components need. Shared by the build and by the installed package
# (vid2voxConfig.cmake), so both ask for the same things. A component that is ON and not found is an
# error that names the Debian package.

include(CMakeFindDependencyMacro)

find_package(Eigen3 3.4 QUIET NO_MODULE)
if(NOT Eigen3_FOUND)
  message(FATAL_ERROR "vid2vox needs Eigen 3.4 (Debian: libeigen3-dev)")
endif()
find_package(xtensor QUIET)
if(NOT xtensor_FOUND)
  message(FATAL_ERROR "vid2vox needs xtensor (Debian: libxtensor-dev)")
endif()
find_package(nlohmann_json QUIET)
if(NOT nlohmann_json_FOUND)
  message(FATAL_ERROR "vid2vox needs nlohmann_json (Debian: nlohmann-json3-dev)")
endif()
find_package(Threads REQUIRED)

if(VID2VOX_OPENMP)
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    message(FATAL_ERROR "VID2VOX_OPENMP is ON but OpenMP was not found "
                        "(Debian with clang: libomp-dev; or set VID2VOX_OPENMP=OFF)")
  endif()
endif()

# vid2vox_pkg_config(<prefix> <option> <debian packages> <modules>...)
macro(vid2vox_pkg_config prefix option packages)
  find_package(PkgConfig QUIET)
  if(NOT PkgConfig_FOUND)
    message(FATAL_ERROR "${option} is ON but pkg-config was not found (Debian: pkg-config)")
  endif()
  pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${ARGN})
  if(NOT ${prefix}_FOUND)
    message(FATAL_ERROR "${option} is ON but one of '${ARGN}' was not found "
                        "(Debian: ${packages}; or set ${option}=OFF)")
  endif()
endmacro()

if(VID2VOX_VIDEO AND NOT TARGET PkgConfig::VID2VOX_FFMPEG)
  vid2vox_pkg_config(VID2VOX_FFMPEG VID2VOX_VIDEO
    "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libavfilter-dev"
    libavformat libavcodec libavfilter libswscale libavutil)
endif()
if(VID2VOX_HDF5 AND NOT TARGET PkgConfig::VID2VOX_HDF5LIB)
  vid2vox_pkg_config(VID2VOX_HDF5LIB VID2VOX_HDF5 "libhdf5-dev" hdf5)
endif()
if(VID2VOX_ARRAYS AND NOT TARGET PkgConfig::VID2VOX_ZIP)
  vid2vox_pkg_config(VID2VOX_ZIP VID2VOX_ARRAYS "libzip-dev zlib1g-dev" libzip zlib)
endif()
if(VID2VOX_REPORT AND NOT TARGET PkgConfig::VID2VOX_CAIRO)
  vid2vox_pkg_config(VID2VOX_CAIRO VID2VOX_REPORT "libcairo2-dev" cairo)
endif()
