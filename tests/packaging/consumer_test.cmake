# Configures, builds and runs consumer/ (see package_tests.cmake). With EXPECTED_ERROR, passes only
# if configuring fails and says so.
set(build ${WORK}/consumer-${NAME})
file(REMOVE_RECURSE ${build})
set(arguments -DMODE=${MODE} -DVID2VOX_SOURCE=${VID2VOX_SOURCE} -DCMAKE_PREFIX_PATH=${PREFIX}
  -DCOMPONENTS=${COMPONENTS} -DREQUESTED_VERSION=${VERSION} -DMODEL=${MODEL}
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_CXX_FLAGS=${COMPILER_FLAGS}"
  -DCMAKE_CXX_COMPILER_LAUNCHER=${COMPILER_LAUNCHER} -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
if(NOT MODE STREQUAL "package")
  # A parent project that wants the library alone.
  list(APPEND arguments -DVID2VOX_COMPONENTS=OFF)
  if(SWITCH_ON)
    list(APPEND arguments -D${SWITCH_ON}=ON)
  endif()
  list(APPEND arguments -DVID2VOX_OPENMP=${OPENMP})
endif()
if(CUDA_COMPILER)
  list(APPEND arguments -DCMAKE_CUDA_COMPILER=${CUDA_COMPILER})
endif()
if(NO_CUDA_TOOLKIT)
  list(APPEND arguments -DVID2VOX_CUDA=ON -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON)
elseif(OLD_CUDNN)
  file(WRITE ${build}-cudnn/cudnn_version.h
    "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 10\n#define CUDNN_PATCHLEVEL 2\n")
  list(APPEND arguments -DVID2VOX_CUDA=ON -DVID2VOX_CUDNN_INCLUDE_DIR=${build}-cudnn)
endif()
if(NO_PKG_CONFIG)
  set(ENV{PKG_CONFIG_LIBDIR} ${WORK}/no-such-folder)
  set(ENV{PKG_CONFIG_PATH} "")
endif()

execute_process(COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${CONSUMER} -B ${build} ${arguments}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(EXPECTED_ERROR)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0)
    message(FATAL_ERROR "configuring succeeded, expected: ${EXPECTED_ERROR}")
  elseif(NOT output MATCHES "${EXPECTED_ERROR}")
    message("${output}")
    message(FATAL_ERROR "expected '${EXPECTED_ERROR}'")
  endif()
  return()
endif()
if(NOT result EQUAL 0)
  message("${output}")
  message(FATAL_ERROR "configuring failed")
endif()

# Our warnings and processor flags must not reach a user's compiler.
file(READ ${build}/compile_commands.json commands)
foreach(flag -Werror -march -Wconversion -ffast-math)
  string(FIND "${commands}" " ${flag}" position)
  string(FIND "${COMPILER_FLAGS}" "${flag}" given)
  if(given EQUAL -1 AND NOT position EQUAL -1)
    message(FATAL_ERROR "${flag} reached the consumer's compiler")
  endif()
endforeach()

execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${build}/consumer WORKING_DIRECTORY ${build} COMMAND_ERROR_IS_FATAL ANY)
