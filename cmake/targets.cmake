# The public targets: all INTERFACE, all header-only.

# vid2vox_component(<name> <libraries>...): target vid2vox::<name>
function(vid2vox_component name)
  set(target vid2vox_${name})
  if(name STREQUAL "vid2vox")
    set(target vid2vox)
  endif()
  add_library(${target} INTERFACE)
  add_library(vid2vox::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(${target} INTERFACE ${ARGN})
  set_property(GLOBAL APPEND PROPERTY VID2VOX_TARGETS ${target})
endfunction()

vid2vox_component(vid2vox Eigen3::Eigen xtensor nlohmann_json::nlohmann_json Threads::Threads)
target_compile_features(vid2vox INTERFACE cxx_std_20)
target_include_directories(vid2vox INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
if(VID2VOX_OPENMP)
  target_link_libraries(vid2vox INTERFACE OpenMP::OpenMP_CXX)
endif()

if(VID2VOX_VIDEO)
  vid2vox_component(video vid2vox PkgConfig::VID2VOX_FFMPEG)
endif()
if(VID2VOX_HDF5)
  vid2vox_component(hdf5 vid2vox PkgConfig::VID2VOX_HDF5LIB)
endif()
if(VID2VOX_ARRAYS)
  vid2vox_component(arrays vid2vox PkgConfig::VID2VOX_ZIP)
endif()
if(VID2VOX_ONEDNN)
  vid2vox_component(onednn vid2vox DNNL::dnnl)
endif()
if(VID2VOX_REPORT)
  vid2vox_component(report vid2vox PkgConfig::VID2VOX_CAIRO)
endif()
