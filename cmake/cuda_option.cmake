# Makes VID2VOX_CUDA ON or OFF. AUTO is ON for our own build where a toolkit, cuDNN and a compiler are
# there; a parent project asks for it, because compiling the kernels takes minutes.

set(vid2vox_cuda_request ${VID2VOX_CUDA})
if(vid2vox_cuda_request STREQUAL "AUTO" AND NOT PROJECT_IS_TOP_LEVEL)
  set(vid2vox_cuda_request OFF)
endif()
set(VID2VOX_CUDA OFF)
if(vid2vox_cuda_request)
  include(cmake/cuda_dependencies.cmake)
  if(NOT vid2vox_cuda_problem)
    include(CheckLanguage)
    if(NOT CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
    endif()
    # A100 and H100/H200, as machine code and as PTX for what comes later.
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES "80;90" CACHE STRING "GPU architectures" FORCE)
    endif()
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
      set(vid2vox_cuda_problem "${CUDAToolkit_NVCC_EXECUTABLE} does not compile: see \
${CMAKE_BINARY_DIR}/CMakeFiles/CMakeError.log")
    endif()
  endif()
  if(NOT vid2vox_cuda_problem)
    set(VID2VOX_CUDA ON)
    message(STATUS "CUDA backend: toolkit ${CUDAToolkit_VERSION}, cuDNN ${vid2vox_cudnn_version}, "
                   "architectures ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(vid2vox_cuda_request STREQUAL "AUTO")
    message(STATUS "CUDA backend is left out: ${vid2vox_cuda_problem}")
  else()
    message(FATAL_ERROR
      "VID2VOX_CUDA is ON but ${vid2vox_cuda_problem}, or set VID2VOX_CUDA=OFF")
  endif()
else()
  message(STATUS "CUDA backend is left out: VID2VOX_CUDA is ${vid2vox_cuda_request}")
endif()
