# Writes OUTPUT, a header that says which version of the sources is built; touches it only when that
# changes. Run at every build: cmake -DSOURCE= -DOUTPUT= -DVERSION= -DCOMPILER= -P commit.cmake
cmake_minimum_required(VERSION 3.25)
set(commit "unknown")
find_program(git git)
if(git)
  execute_process(COMMAND ${git} -C ${SOURCE} describe --always --dirty --abbrev=40 --exclude=*
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failure)
  if(NOT failure)
    set(commit ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once
#define VID2VOX_VERSION \"${VERSION}\"
#define VID2VOX_COMMIT \"${commit}\"
#define VID2VOX_COMPILER \"${COMPILER}\"
")
