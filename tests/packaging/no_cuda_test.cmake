# Reads the dependency files of everything that was built: no header of CUDA, nor of our CUDA
# backend, may be among them.
if(GENERATOR STREQUAL "Ninja")
  execute_process(COMMAND ${MAKE_PROGRAM} -C ${BUILD} -t deps OUTPUT_VARIABLE dependencies
    COMMAND_ERROR_IS_FATAL ANY)
else()
  file(GLOB_RECURSE files ${BUILD}/*.d)
  set(dependencies "")
  foreach(file IN LISTS files)
    file(READ ${file} text)
    string(APPEND dependencies "${text}")
  endforeach()
endif()
string(REGEX MATCHALL "vid2vox/vid2vox\\.hpp" umbrella "${dependencies}")
if(NOT umbrella)
  message(FATAL_ERROR "the dependency files do not show vid2vox.hpp: build everything first")
endif()
string(REGEX MATCHALL
  "[^ \n]*(/backend/cuda/|\\.cuh|cuda_runtime|cuda\\.h|cublas|cudnn|nccl)[^ \n]*" found
  "${dependencies}")
if(found)
  list(REMOVE_DUPLICATES found)
  list(JOIN found "\n  " found)
  message(FATAL_ERROR "a CPU build includes:\n  ${found}")
endif()
