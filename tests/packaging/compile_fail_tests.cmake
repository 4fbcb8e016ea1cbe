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

vid2vox_compile_fail("wrong channel count between layers" channels.cpp
  "wrong channel count between layers" "RequireChannels<vid2vox::[a-z0-9_]+::Conv3d<24, 8,.*, 16, 24>")
vid2vox_compile_fail("heads that do not divide channels" heads.cpp
  "does not divide the channels" "RequireHeads<vid2vox::[a-z0-9_]+::MultiHeadSelfAttention<32,.*, 32, 5>")
vid2vox_compile_fail("axial heads that do not divide channels" axial_heads.cpp
  "does not divide the channels" "RequireHeads<vid2vox::[a-z0-9_]+::AxialAttention<48, 7,.*, 48, 7>")
vid2vox_compile_fail("clip size not divisible by the downsampling" clip_size.cpp
  "not divisible by the downsampling" "RequireDivisible<vid2vox::[a-z0-9_]+::Conv3d<8, 8,.*, 4, 15, 32, 1, 2, 2>")
vid2vox_compile_fail("CUDA device without its header" cuda_without_header.cpp
  "no backend for this device is included" "MatrixProduct<vid2vox::[a-z0-9_]+::cuda>"
  "include vid2vox/backend/c")
vid2vox_compile_fail("a model whose clips its downsampling does not divide" model_clip_size.cpp
  "not divisible by the downsampling" "RequireDivisible<vid2vox::[a-z0-9_]+::Vqvae<.*, 4, 60, 32, 2, 8, 8>")
vid2vox_compile_fail("a stack of no blocks" no_blocks.cpp
  "number of blocks \\(N\\) must be at least 1" "RequireBlocks<.*, 0>")
vid2vox_compile_fail("a codebook of another size than the GPT's" codebook_size.cpp
  "64, *2048" "CodebookRows<1024, *32")
