# Finds the CUDA toolkit with cuBLAS and cuSOLVER, and cuDNN. Shared by the build and by the installed package.
#
# in:  vid2vox_imported_scope   GLOBAL where a parent project must see the imported target
# out: vid2vox_cuda_problem     a sentence, or empty; vid2vox_dependency::cudnn otherwise

# 12.8: the lowest that compiles our C++20. cuDNN 9.15: versions before it compute wrong bfloat16
# convolutions over three dimensions on large shapes.
set(vid2vox_cuda_lowest 12.8)
set(vid2vox_cudnn_lowest 9.15)
set(vid2vox_cuda_problem "")

find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND)
  set(vid2vox_cuda_problem "no CUDA toolkit was found (set CUDAToolkit_ROOT or put nvcc in PATH)")
elseif(CUDAToolkit_VERSION VERSION_LESS vid2vox_cuda_lowest)
  set(vid2vox_cuda_problem
    "CUDA toolkit ${CUDAToolkit_VERSION} in ${CUDAToolkit_BIN_DIR} is older than \
${vid2vox_cuda_lowest}, the lowest that compiles C++20 as used here")
elseif(NOT TARGET CUDA::cublasLt OR NOT TARGET CUDA::cublas)
  set(vid2vox_cuda_problem "the CUDA toolkit in ${CUDAToolkit_BIN_DIR} has no cuBLAS library")
elseif(NOT TARGET CUDA::cusolver)
  set(vid2vox_cuda_problem "the CUDA toolkit in ${CUDAToolkit_BIN_DIR} has no cuSOLVER library")
elseif(NOT TARGET vid2vox_dependency::cudnn)
  find_path(VID2VOX_CUDNN_INCLUDE_DIR cudnn_version.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(VID2VOX_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(VID2VOX_CUDNN_INCLUDE_DIR VID2VOX_CUDNN_LIBRARY)
  if(NOT VID2VOX_CUDNN_INCLUDE_DIR OR NOT VID2VOX_CUDNN_LIBRARY)
    set(vid2vox_cuda_problem "cuDNN was not found beside the CUDA toolkit \
(set VID2VOX_CUDNN_INCLUDE_DIR and VID2VOX_CUDNN_LIBRARY)")
  else()
    set(vid2vox_cudnn_version "")
    foreach(part MAJOR MINOR PATCHLEVEL)
      file(STRINGS ${VID2VOX_CUDNN_INCLUDE_DIR}/cudnn_version.h line
           REGEX "^#define CUDNN_${part} +[0-9]+")
      string(REGEX MATCH "[0-9]+$" number "${line}")
      string(APPEND vid2vox_cudnn_version ".${number}")
    endforeach()
    string(SUBSTRING "${vid2vox_cudnn_version}" 1 -1 vid2vox_cudnn_version)
    if(vid2vox_cudnn_version VERSION_LESS vid2vox_cudnn_lowest)
      set(vid2vox_cuda_problem "cuDNN ${vid2vox_cudnn_version} in ${VID2VOX_CUDNN_INCLUDE_DIR} is \
older than ${vid2vox_cudnn_lowest}: such versions gave wrong bfloat16 3-D convolutions")
    else()
      add_library(vid2vox_dependency::cudnn UNKNOWN IMPORTED ${vid2vox_imported_scope})
      set_target_properties(vid2vox_dependency::cudnn PROPERTIES
        IMPORTED_LOCATION ${VID2VOX_CUDNN_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${VID2VOX_CUDNN_INCLUDE_DIR})
    endif()
  endif()
endif()
