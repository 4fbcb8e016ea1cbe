# Warnings and processor flags for our own programs and tests; never exported to users.

add_library(vid2vox_own INTERFACE)
target_link_libraries(vid2vox_own INTERFACE vid2vox::vid2vox)
# vid2vox_own_options(<options>...): for C++ only; nvcc would not know them.
function(vid2vox_own_options)
  list(TRANSFORM ARGN REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:\\1>" OUTPUT_VARIABLE options)
  target_compile_options(vid2vox_own INTERFACE ${options})
endfunction()
vid2vox_own_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
if(VID2VOX_WERROR)
  vid2vox_own_options(-Werror)
endif()
if(VID2VOX_NATIVE)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native VID2VOX_HAS_MARCH_NATIVE)
  if(VID2VOX_HAS_MARCH_NATIVE)
    vid2vox_own_options(-march=native)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      # False alarms of GCC 12: its own AVX-512 intrinsics (bug 105593), and "literal" + string
      # (bug 105651).
      vid2vox_own_options(-Wno-maybe-uninitialized -Wno-uninitialized -Wno-restrict)
    endif()
  endif()
endif()

find_package(CLI11 QUIET)
find_package(fmt QUIET)
if(VID2VOX_BUILD_EXAMPLES)
  if(NOT CLI11_FOUND OR NOT fmt_FOUND)
    message(FATAL_ERROR "The programs need CLI11 and fmt (Debian: libcli11-dev libfmt-dev; "
                        "or set VID2VOX_BUILD_EXAMPLES=OFF)")
  endif()
endif()

# vid2vox_absent_components(<variable> <targets>...): those vid2vox:: targets among them whose
# component is switched off.
function(vid2vox_absent_components variable)
  set(absent "")
  foreach(library IN LISTS ARGN)
    if(library MATCHES "^vid2vox::" AND NOT TARGET ${library})
      list(APPEND absent ${library})
    endif()
  endforeach()
  set(${variable} "${absent}" PARENT_SCOPE)
endfunction()
