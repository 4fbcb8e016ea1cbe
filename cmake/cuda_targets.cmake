# vid2vox::cuda: what a .cu file that includes *_launch.cuh needs. vid2vox::cuda_kernels: the same
# functions compiled, for .cpp files that see no header of CUDA.

enable_language(CUDA)

vid2vox_component(cuda vid2vox CUDA::cudart CUDA::cublasLt CUDA::cublas CUDA::cusolver
  vid2vox_dependency::cudnn)
# A program starts with the libraries that it calls only: cuSOLVER, cuBLAS and cuDNN are hundreds of
# megabytes to map and to relocate.
target_link_options(vid2vox_cuda INTERFACE LINKER:--as-needed)
# CMake 3.25 does not know nvcc's option for C++20. nvcc takes it once only, so a target that sets
# CUDA_STANDARD is left alone.
target_compile_options(vid2vox_cuda INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<STREQUAL:$<TARGET_PROPERTY:CUDA_STANDARD>,>>:-std=c++20>)

include(cmake/cuda_units.cmake)
vid2vox_cuda_unit_sources(vid2vox_kernel_sources cu ${vid2vox_cuda_units})
add_library(vid2vox_cuda_kernels STATIC ${vid2vox_kernel_sources})
add_library(vid2vox::cuda_kernels ALIAS vid2vox_cuda_kernels)
set_target_properties(vid2vox_cuda_kernels PROPERTIES
  EXPORT_NAME cuda_kernels
  CUDA_RUNTIME_LIBRARY Shared
  POSITION_INDEPENDENT_CODE ON
  EXCLUDE_FROM_ALL $<NOT:$<BOOL:${PROJECT_IS_TOP_LEVEL}>>)
target_link_libraries(vid2vox_cuda_kernels PUBLIC vid2vox_cuda)
target_compile_definitions(vid2vox_cuda_kernels PRIVATE VID2VOX_CUDA_LINKAGE=)
set_property(GLOBAL APPEND PROPERTY VID2VOX_TARGETS vid2vox_cuda_kernels)

# vid2vox_cuda_warnings(<target>): our warnings for .cu files; CUDA's own headers are exempt. No
# -Wpedantic: nvcc's generated code is not pedantic.
function(vid2vox_cuda_warnings target)
  set(host -Wall,-Wextra,-Wshadow,-Wconversion,-Wno-sign-conversion)
  if(VID2VOX_WERROR)
    string(APPEND host ,-Werror)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
  endif()
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host}>)
endfunction()
vid2vox_cuda_warnings(vid2vox_cuda_kernels)
# Lines of kernels in profiles and in compute-sanitizer's reports; costs nothing at run time.
target_compile_options(vid2vox_cuda_kernels PRIVATE
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<CONFIG:Debug,RelWithDebInfo>>:-lineinfo>)
