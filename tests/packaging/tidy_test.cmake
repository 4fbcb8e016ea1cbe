include(${CMAKE_CURRENT_LIST_DIR}/lint_tool.cmake)
if(NOT lint_usable)
  return()
endif()
# Without OpenMP: Debian's clang has no omp.h unless libomp-dev is installed.
execute_process(COMMAND ${TOOL} --quiet --config-file=${CONFIG} -p ${BUILD}
  --extra-arg=-fno-openmp
  --extra-arg=-Wno-unknown-pragmas --extra-arg=-Wno-unknown-warning-option
  --warnings-as-errors=* ${UNIT}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message("${output}\n${errors}")
  message(FATAL_ERROR "clang-tidy has complaints, see above")
endif()
