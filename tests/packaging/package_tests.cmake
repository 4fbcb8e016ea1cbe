# The installed package, and the source tree as part of another project, used by a small consumer.

set(package_prefix ${CMAKE_CURRENT_BINARY_DIR}/prefix)
set(consumer_common
  -DCONSUMER=${CMAKE_CURRENT_SOURCE_DIR}/consumer
  -DWORK=${CMAKE_CURRENT_BINARY_DIR}
  -DGENERATOR=${CMAKE_GENERATOR}
  -DCOMPILER=${CMAKE_CXX_COMPILER}
  -DCOMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}
  -DCOMPILER_FLAGS=${CMAKE_CXX_FLAGS}
  -DVID2VOX_SOURCE=${PROJECT_SOURCE_DIR}
  -DPREFIX=${package_prefix}
  -DOPENMP=${VID2VOX_OPENMP})

add_test(NAME "packaging:install"
  COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DPREFIX=${package_prefix}
          -DVID2VOX_SOURCE=${PROJECT_SOURCE_DIR}
          -P ${CMAKE_CURRENT_SOURCE_DIR}/install_test.cmake)
set_tests_properties("packaging:install" PROPERTIES FIXTURES_SETUP vid2vox_installed LABELS cpu)

# vid2vox_consumer_test(<name> <title> <definitions>...)
function(vid2vox_consumer_test name title)
  add_test(NAME "packaging:${title}"
    COMMAND ${CMAKE_COMMAND} ${consumer_common} -DNAME=${name} ${ARGN}
            -P ${CMAKE_CURRENT_SOURCE_DIR}/consumer_test.cmake)
  set_tests_properties("packaging:${title}" PROPERTIES
    FIXTURES_REQUIRED vid2vox_installed LABELS cpu)
endfunction()

list(JOIN vid2vox_components "," all_components)
vid2vox_consumer_test(package "find_package consumer" -DMODE=package -DMODEL=ON)
if(vid2vox_components)
  vid2vox_consumer_test(components "find_package consumer of every component" -DMODE=package
    -DCOMPONENTS=${all_components})
endif()
if(VID2VOX_CUDA)
  vid2vox_consumer_test(cuda "find_package consumer of the CUDA headers" -DMODE=package
    -DCOMPONENTS=cuda -DCUDA_COMPILER=${CMAKE_CUDA_COMPILER})
  vid2vox_consumer_test(cuda_kernels "find_package consumer of the compiled kernels"
    -DMODE=package -DCOMPONENTS=cuda_kernels)
  vid2vox_consumer_test(old_cudnn "an old cuDNN is refused with the reason" -DMODE=subdirectory
    -DOLD_CUDNN=ON "-DEXPECTED_ERROR=cuDNN 9.10.2 .* older than 9.15: .* wrong bfloat16")
endif()
vid2vox_consumer_test(no_toolkit "CUDA that is asked for and absent is an error" -DMODE=subdirectory
  -DNO_CUDA_TOOLKIT=ON "-DEXPECTED_ERROR=VID2VOX_CUDA is ON but no CUDA toolkit was found")
vid2vox_consumer_test(subdirectory "add_subdirectory consumer" -DMODE=subdirectory)
vid2vox_consumer_test(fetch "FetchContent consumer" -DMODE=fetch)
vid2vox_consumer_test(unknown "an unknown component is refused" -DMODE=package
  -DCOMPONENTS=telepathy
  "-DEXPECTED_ERROR=component 'telepathy' is not part of this installation")
vid2vox_consumer_test(version "another minor version is refused" -DMODE=package -DVERSION=0.2
  "-DEXPECTED_ERROR=version: 0.1.0")
# What a missing library looks like: pkg-config that finds nothing.
if("video" IN_LIST vid2vox_components)
  vid2vox_consumer_test(missing "a missing library of a component is named" -DMODE=package
    -DCOMPONENTS=video -DNO_PKG_CONFIG=ON -DEXPECTED_ERROR=libavcodec-dev)
  vid2vox_consumer_test(not_needed "a library that was not asked for may be missing" -DMODE=package
    -DNO_PKG_CONFIG=ON)
  vid2vox_consumer_test(missing_in_build "the build names the package of a missing library"
    -DMODE=subdirectory -DNO_PKG_CONFIG=ON -DSWITCH_ON=VID2VOX_VIDEO
    -DEXPECTED_ERROR=libavcodec-dev)
endif()

# CPU code opens no file of CUDA, and no .cpp file a header of the CUDA toolkit.
add_test(NAME "packaging:no CUDA header in CPU code"
  COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DGENERATOR=${CMAKE_GENERATOR}
          -DMAKE_PROGRAM=${CMAKE_MAKE_PROGRAM} -DCUDA=${VID2VOX_CUDA}
          -P ${CMAKE_CURRENT_SOURCE_DIR}/no_cuda_test.cmake)
set_tests_properties("packaging:no CUDA header in CPU code" PROPERTIES LABELS cpu)
