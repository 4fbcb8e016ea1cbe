# clang-format and clang-tidy as tests. Their verdicts differ between versions: another version than
# Debian 12's shows as skipped.

set(vid2vox_lint_version 14)
find_program(VID2VOX_CLANG_FORMAT NAMES clang-format-${vid2vox_lint_version} clang-format)
find_program(VID2VOX_CLANG_TIDY NAMES clang-tidy-${vid2vox_lint_version} clang-tidy)

add_test(NAME "lint:clang-format"
  COMMAND ${CMAKE_COMMAND} -DTOOL=${VID2VOX_CLANG_FORMAT} -DVERSION=${vid2vox_lint_version}
          -DVID2VOX_SOURCE=${PROJECT_SOURCE_DIR}
          -P ${CMAKE_CURRENT_SOURCE_DIR}/format_test.cmake)
set_tests_properties("lint:clang-format" PROPERTIES LABELS lint
  SKIP_REGULAR_EXPRESSION "\\[skipped\\]")

# clang-tidy reads the flags of compile_commands.json. The unit that includes every header stands
# for the library; the programs are read one by one, which takes minutes: their tests have a label of
# their own, `tidy`, which `./run test` leaves out and `./run tidy` runs.
set(tidy_units ${CMAKE_CURRENT_BINARY_DIR}/all_headers_a.cpp)
if(VID2VOX_BUILD_EXAMPLES)
  file(GLOB programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.cpp
    ${PROJECT_SOURCE_DIR}/examples/programs/*.cpp)
  foreach(program IN LISTS programs)
    get_filename_component(name ${program} NAME_WE)
    if(TARGET ${name})
      list(APPEND tidy_units ${program})
    endif()
  endforeach()
endif()
if(CMAKE_EXPORT_COMPILE_COMMANDS)
  foreach(unit IN LISTS tidy_units)
    get_filename_component(name ${unit} NAME_WE)
    add_test(NAME "lint:clang-tidy ${name}"
      COMMAND ${CMAKE_COMMAND} -DTOOL=${VID2VOX_CLANG_TIDY} -DVERSION=${vid2vox_lint_version}
              -DBUILD=${PROJECT_BINARY_DIR} -DUNIT=${unit}
              -DCONFIG=${PROJECT_SOURCE_DIR}/.clang-tidy
              -P ${CMAKE_CURRENT_SOURCE_DIR}/tidy_test.cmake)
    set(label tidy)
    if(name STREQUAL "all_headers_a")
      set(label lint)
    endif()
    # The longest test starts first: the others share the cores that are left.
    set_tests_properties("lint:clang-tidy ${name}" PROPERTIES LABELS ${label} TIMEOUT 600 COST 1000
      SKIP_REGULAR_EXPRESSION "\\[skipped\\]")
  endforeach()
endif()
