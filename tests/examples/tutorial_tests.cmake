# Each tutorial runs in an empty folder of its own and prints what is expected here.

# vid2vox_tutorial_test(<name> [FILE <name>] <regular expression of a line>...). FILE: what it leaves there.
function(vid2vox_tutorial_test name)
  cmake_parse_arguments(arg "" "FILE" "" ${ARGN})
  if(NOT TARGET ${name})
    return()
  endif()
  list(JOIN arg_UNPARSED_ARGUMENTS "@" expected)  # newlines would not reach the script
  add_test(NAME "tutorial: ${name}"
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${name}>
            -DFOLDER=${CMAKE_CURRENT_BINARY_DIR}/tutorial_${name} "-DEXPECTED=${expected}"
            -DFILE=${arg_FILE} -P ${CMAKE_CURRENT_SOURCE_DIR}/run_tutorial.cmake)
  set_tests_properties("tutorial: ${name}" PROPERTIES LABELS cpu
    ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

vid2vox_tutorial_test(embedding FILE vqvae.safetensors
  "59803 parameters, latent 2 x 8 x 8"
  "after 20 steps: reconstruction loss [01]\\.[0-9]+, codes used [0-9]+ of 64"
  "wrote vqvae.safetensors: 91 tensors, the first is encoder.convs.0.conv.weight")
vid2vox_tutorial_test(clip_reader
  "20 clips of 3072 bytes"
  "clip 2: run-01, frame 16, 1.07 s to 2.07 s"
  "step 0: 4 clips, step 1 again after a restart: the same"
  "back to bytes: the same")
vid2vox_tutorial_test(layer_gradients
  "gain: 69 elements, right"
  "convolution and gain: 280 parameters, right")
vid2vox_tutorial_test(ridge_scores
  "voxel 0: r 0\\.46, p 0\\.007, q 0\\.012"
  "12 of 20 voxels significant at q < 0.05")
vid2vox_tutorial_test(brain_map FILE brain_map.png
  "5 of 10 regions significant at q < 0.05"
  "V1 left: L, x 0\\.06, y 0\\.40 of the brain"
  "wrote brain_map.png: 1100 x 660 pixels, not empty")
