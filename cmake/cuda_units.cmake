# The launch headers of the CUDA backend, each a translation unit of the libraries that hold its kernels:
# of vid2vox::cuda_kernels by nvcc, and of the tests by the host compiler under the SIMT shim.
#
# backend/cuda/<operation>/launch.cuh is unit <operation>, <operation>/<part>_launch.cuh is unit
# <operation>_<part>.
#
# out: vid2vox_cuda_units          the units' names
#      vid2vox_cuda_header_<unit>  the header of each, as it is included

set(vid2vox_cuda_units "")
file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include
  ${PROJECT_SOURCE_DIR}/include/vid2vox/backend/cuda/*/*launch.cuh)
foreach(header IN LISTS headers)
  string(REGEX REPLACE "^.*/([^/]+)/([^/]*)launch\\.cuh$" "\\1_\\2" unit ${header})
  string(REGEX REPLACE "_$" "" unit ${unit})
  list(APPEND vid2vox_cuda_units ${unit})
  set(vid2vox_cuda_header_${unit} ${header})
endforeach()

# vid2vox_cuda_unit_sources(<variable> <extension> <units>...): writes a source for each of the units,
# and lists the sources in the variable.
function(vid2vox_cuda_unit_sources variable extension)
  set(sources "")
  foreach(unit IN LISTS ARGN)
    set(source ${PROJECT_BINARY_DIR}/cuda_units/${unit}.${extension})
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${vid2vox_cuda_header_${unit}}\"\n")
    list(APPEND sources ${source})
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
