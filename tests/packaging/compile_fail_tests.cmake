# Wrong models must not compile, and the compiler's message must say which layer and which numbers.

# Include folders of the library's own target, as the snippets need them.
add_library(compile_fail_flags OBJECT EXCLUDE_FROM_ALL consumer/core.cpp)
target_link_libraries(compile_fail_flags PRIVATE vid2vox::vid2vox)
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/compile_fail_includes.txt
     CONTENT "$<JOIN:$<TARGET_PROPERTY:compile_fail_flags,INCLUDE_DIRECTORIES>,\n>\n"
     TARGET compile_fail_flags)

# vid2vox_compile_fail(<name> <source> <regular expressions>...): the snippet compiles as it stands;
# with WRONG defined it does not, and the output matches every expression.
function(vid2vox_compile_fail name source)
  list(JOIN ARGN "@@" patterns)
  add_test(NAME "packaging:does not compile: ${name}"
    COMMAND ${CMAKE_COMMAND} -DCOMPILER=${CMAKE_CXX_COMPILER}
            -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/${source}
            -DINCLUDES=${CMAKE_CURRENT_BINARY_DIR}/compile_fail_includes.txt
            "-DPATTERNS=${patterns}"
            -P ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail_test.cmake)
  set_tests_properties("packaging:does not compile: ${name}" PROPERTIES LABELS cpu)
endfunction()
