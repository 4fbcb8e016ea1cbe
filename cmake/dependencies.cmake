# Finds what the library and its components need. Shared by the build and by the installed package
# (vid2voxConfig.cmake), so both ask for the same things.
#
# in:  vid2vox_needs                 the optional components that are wanted (cmake/components.cmake),
#                                    and openmp
#      vid2vox_imported_scope        GLOBAL where a parent project must see the imported targets
# out: vid2vox_problems              a sentence for each dependency that was not found
#      vid2vox_problem_<component>   the same, of one component ("core" for the library itself)

set(vid2vox_problems "")
foreach(component core openmp ${vid2vox_needs})
  set(vid2vox_problem_${component} "")
endforeach()

macro(vid2vox_problem component text)
  set(vid2vox_problem_${component} "${text}")
  list(APPEND vid2vox_problems "${text}")
endmacro()

find_package(Eigen3 3.4 QUIET NO_MODULE)
if(NOT Eigen3_FOUND)
  vid2vox_problem(core "vid2vox needs Eigen 3.4 (Debian: libeigen3-dev)")
endif()
find_package(xtensor QUIET)
if(NOT xtensor_FOUND)
  vid2vox_problem(core "vid2vox needs xtensor (Debian: libxtensor-dev)")
endif()
find_package(nlohmann_json QUIET)
if(NOT nlohmann_json_FOUND)
  vid2vox_problem(core "vid2vox needs nlohmann_json (Debian: nlohmann-json3-dev)")
endif()
find_package(Threads QUIET)
if(NOT Threads_FOUND)
  vid2vox_problem(core "vid2vox needs a thread library (Debian: libc6-dev)")
endif()

if("openmp" IN_LIST vid2vox_needs)
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    vid2vox_problem(openmp "VID2VOX_OPENMP is ON but the compiler has no OpenMP \
(Debian, with clang: libomp-dev), or set VID2VOX_OPENMP=OFF")
  endif()
endif()

# vid2vox_pkg_config(<component> <prefix> <debian packages> <modules>...)
macro(vid2vox_pkg_config component prefix packages)
  if("${component}" IN_LIST vid2vox_needs AND NOT TARGET PkgConfig::${prefix})
    string(TOUPPER "VID2VOX_${component}" vid2vox_option)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${vid2vox_imported_scope} ${ARGN})
      if(NOT ${prefix}_FOUND)
        string(REPLACE ";" ", " vid2vox_modules "${ARGN}")
        vid2vox_problem(${component} "${vid2vox_option} is ON but one of ${vid2vox_modules} was not found \
(Debian: ${packages}), or set ${vid2vox_option}=OFF")
      endif()
    else()
      vid2vox_problem(${component} "${vid2vox_option} is ON but pkg-config was not found \
(Debian: pkg-config), or set ${vid2vox_option}=OFF")
    endif()
  endif()
endmacro()

vid2vox_pkg_config(video VID2VOX_FFMPEG
  "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libavfilter-dev"
  libavformat libavcodec libavfilter libswscale libavutil)
vid2vox_pkg_config(hdf5 VID2VOX_HDF5LIB "libhdf5-dev" hdf5)
vid2vox_pkg_config(arrays VID2VOX_ZIP "libzip-dev zlib1g-dev" libzip zlib)
vid2vox_pkg_config(report VID2VOX_CAIRO "libcairo2-dev" cairo)
vid2vox_pkg_config(nifti VID2VOX_EXPAT "libexpat1-dev" expat)
vid2vox_pkg_config(lapack VID2VOX_LAPACKLIB "libopenblas-openmp-dev liblapacke-dev" openblas lapacke)

if("nifti" IN_LIST vid2vox_needs AND NOT TARGET vid2vox_libnifti2)
  # Its own CMake package is not usable: Debian's names files of packages that it does not need.
  find_path(VID2VOX_NIFTI2_INCLUDE nifti2_io.h PATH_SUFFIXES nifti)
  find_library(VID2VOX_NIFTI2_LIBRARY nifti2)
  find_library(VID2VOX_ZNZ_LIBRARY znz)
  mark_as_advanced(VID2VOX_NIFTI2_INCLUDE VID2VOX_NIFTI2_LIBRARY VID2VOX_ZNZ_LIBRARY)
  if(VID2VOX_NIFTI2_INCLUDE AND VID2VOX_NIFTI2_LIBRARY AND VID2VOX_ZNZ_LIBRARY)
    add_library(vid2vox_libnifti2 INTERFACE IMPORTED ${vid2vox_imported_scope})
    target_include_directories(vid2vox_libnifti2 INTERFACE ${VID2VOX_NIFTI2_INCLUDE})
    target_link_libraries(vid2vox_libnifti2 INTERFACE ${VID2VOX_NIFTI2_LIBRARY}
      ${VID2VOX_ZNZ_LIBRARY})
  else()
    vid2vox_problem(nifti "VID2VOX_NIFTI is ON but libnifti2 was not found \
(Debian: libnifti2-dev), or set VID2VOX_NIFTI=OFF")
  endif()
endif()

if("onednn" IN_LIST vid2vox_needs AND NOT TARGET vid2vox_libdnnl)
  # Its own CMake package is not usable: Debian's insists on OpenCL's headers, which nothing here needs.
  find_path(VID2VOX_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp)
  find_library(VID2VOX_DNNL_LIBRARY dnnl)
  mark_as_advanced(VID2VOX_DNNL_INCLUDE VID2VOX_DNNL_LIBRARY)
  set(vid2vox_dnnl_version 0)
  if(VID2VOX_DNNL_INCLUDE AND VID2VOX_DNNL_LIBRARY)
    file(STRINGS ${VID2VOX_DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h vid2vox_dnnl_lines
      REGEX "define DNNL_VERSION_(MAJOR|MINOR) ")
    string(REGEX REPLACE ".*MAJOR +([0-9]+).*MINOR +([0-9]+).*" "\\1.\\2" vid2vox_dnnl_version
      "${vid2vox_dnnl_lines}")
  endif()
  if(vid2vox_dnnl_version VERSION_GREATER_EQUAL 2.6)
    add_library(vid2vox_libdnnl INTERFACE IMPORTED ${vid2vox_imported_scope})
    target_include_directories(vid2vox_libdnnl INTERFACE ${VID2VOX_DNNL_INCLUDE})
    target_link_libraries(vid2vox_libdnnl INTERFACE ${VID2VOX_DNNL_LIBRARY})
  else()
    vid2vox_problem(onednn "VID2VOX_ONEDNN is ON but oneDNN 2.6 or later was not found \
(Debian: libdnnl-dev), or set VID2VOX_ONEDNN=OFF")
  endif()
endif()

if("cuda" IN_LIST vid2vox_needs)
  include(${CMAKE_CURRENT_LIST_DIR}/cuda_dependencies.cmake)
  if(vid2vox_cuda_problem)
    vid2vox_problem(cuda "VID2VOX_CUDA is ON but ${vid2vox_cuda_problem}")
    set(vid2vox_problem_cuda_kernels "${vid2vox_problem_cuda}")
  endif()
endif()
