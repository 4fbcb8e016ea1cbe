# Runs PROGRAM in the empty folder FOLDER: its output must match EXPECTED, regular expressions of all its
# lines with @ between them, and the only file that it leaves is FILE (none if empty).
string(REPLACE "@" "\n" EXPECTED "${EXPECTED}")
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE result
  OUTPUT_VARIABLE output ERROR_VARIABLE errors)
message("${output}${errors}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ends with ${result}")
endif()
if(NOT output MATCHES "^${EXPECTED}\n$")
  message(FATAL_ERROR "the output above does not match\n${EXPECTED}")
endif()
file(GLOB left RELATIVE ${FOLDER} ${FOLDER}/*)
if(NOT "${left}" STREQUAL "${FILE}")
  message(FATAL_ERROR "left '${left}' in the folder, expected '${FILE}'")
endif()
file(REMOVE_RECURSE ${FOLDER})
