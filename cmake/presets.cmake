# The configurations of models that vid2vox::runtime is built with. open_model and `--model` find them.

# vid2vox_add_preset(<type> <header> [TARGET <target>] [DEVICES <devices>] [PRECISIONS <precisions>]): adds a
# preset, a struct as those of vid2vox/models/presets.hpp with kName, kVqvae, kGpt and kLearningRate. type:
# its C++ name; header: the file that defines it, relative to the calling CMakeLists.txt or to an include
# folder. It becomes part of vid2vox::runtime, or of the program TARGET, which links that. Each device has a
# file of its own with the device's precisions; DEVICES and PRECISIONS restrict them, which saves compile
# time. Call it after add_subdirectory(vid2vox).

# vid2vox_presets.hpp in this folder lists them for the table (vid2vox/runtime/preset_table.cpp).
set(vid2vox_preset_folder ${CMAKE_CURRENT_BINARY_DIR}/presets)
file(GENERATE OUTPUT ${vid2vox_preset_folder}/vid2vox_presets.hpp CONTENT "#pragma once
// Made by CMake: X(function, device, precision) for each preset.
#define VID2VOX_PRESETS(X) \\
  $<JOIN:$<TARGET_PROPERTY:vid2vox_runtime,VID2VOX_PRESETS>, \\\n  >
")
set_property(TARGET vid2vox_runtime PROPERTY VID2VOX_PRESET_FOLDER ${vid2vox_preset_folder})

function(vid2vox_add_preset type header)
  cmake_parse_arguments(arg "" "TARGET" "DEVICES;PRECISIONS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "vid2vox_add_preset(${type}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  foreach(value IN LISTS arg_DEVICES arg_PRECISIONS)
    if(NOT value MATCHES "^(cpu|cuda|fp32|tf32|bf16|fp16)$")
      message(FATAL_ERROR "vid2vox_add_preset(${type}): '${value}' is neither a device nor a precision")
    endif()
  endforeach()
  get_filename_component(absolute ${header} ABSOLUTE)
  if(EXISTS ${absolute})
    set(header ${absolute})
  endif()
  get_target_property(folder vid2vox_runtime VID2VOX_PRESET_FOLDER)
  string(MAKE_C_IDENTIFIER ${type} id)
  set(target vid2vox_runtime)
  if(arg_TARGET)
    set(target ${arg_TARGET})
  endif()
  set(devices cpu)
  set(precisions_cpu fp32 bf16)
  set(precisions_cuda fp32 tf32 bf16 fp16)
  if(TARGET vid2vox::cuda_kernels)
    list(APPEND devices cuda)
  endif()
  foreach(device IN LISTS devices)
    if(arg_DEVICES AND NOT device IN_LIST arg_DEVICES)
      continue()
    endif()
    set(functions "")
    foreach(precision IN LISTS precisions_${device})
      if(arg_PRECISIONS AND NOT precision IN_LIST arg_PRECISIONS)
        continue()
      endif()
      set(name ${id}_${device}_${precision})
      string(APPEND functions "
const Preset& ${name}();
const Preset& ${name}() {
  static const internal::CompiledPreset<${type}, Policy<${precision}, ${device}>> preset;
  return preset;
}
")
      if(arg_TARGET)  # the linker would drop an object of a library that is not referred to
        string(APPEND functions
          "[[maybe_unused]] const bool ${name}_is_added = add_preset({\"${device}\", \"${precision}\", ${name}});\n")
      else()
        set_property(TARGET vid2vox_runtime APPEND PROPERTY VID2VOX_PRESETS
          "X(${name}, \"${device}\", \"${precision}\")")
      endif()
    endforeach()
    if(functions STREQUAL "")
      continue()
    endif()
    set(source ${folder}/${id}_${device}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Made by CMake (vid2vox_add_preset).

#include \"vid2vox/backend/${device}/operations.hpp\"
#include \"vid2vox/runtime/internal/compiled_preset.hpp\"
#include \"${header}\"

namespace vid2vox::runtime {
${functions}
}  // namespace vid2vox::runtime
")
    target_sources(${target} PRIVATE ${source})
    if(device STREQUAL "cuda")
      # The host only calls: optimizing its code further costs a third of the build and gains nothing.
      set_source_files_properties(${source} TARGET_DIRECTORY ${target}
        PROPERTIES COMPILE_OPTIONS -O1)
    endif()
  endforeach()
endfunction()
