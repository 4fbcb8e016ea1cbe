# The optional components, each with its option VID2VOX_<COMPONENT>. This is the only list of them:
# the options are declared from it, and cmake/targets.cmake refuses a component that is not in it, so
# whatever VID2VOX_COMPONENTS=OFF leaves out cannot fall behind.
#
# out: vid2vox_optional_components   their names

option(VID2VOX_COMPONENTS
  "OFF: an optional component is off unless its own option switches it on" ON)

# vid2vox_optional_component(<name> <default> <description>). The default holds where VID2VOX_COMPONENTS
# is ON; AUTO makes an option of three values.
set(vid2vox_optional_components "")
macro(vid2vox_optional_component name default description)
  list(APPEND vid2vox_optional_components ${name})
  string(TOUPPER "VID2VOX_${name}" vid2vox_option)
  set(vid2vox_default ${default})
  if(NOT VID2VOX_COMPONENTS)
    set(vid2vox_default OFF)
  endif()
  if("${default}" STREQUAL "AUTO")
    set(${vid2vox_option} ${vid2vox_default} CACHE STRING "${description} (AUTO, ON, OFF)")
    set_property(CACHE ${vid2vox_option} PROPERTY STRINGS AUTO ON OFF)
  else()
    option(${vid2vox_option} "${description}" ${vid2vox_default})
  endif()
endmacro()

vid2vox_optional_component(video ON
  "Component vid2vox::video: reading video, writing GIF and MP4 (FFmpeg)")
vid2vox_optional_component(hdf5 ON "Component vid2vox::hdf5: clips and arrays from HDF5")
vid2vox_optional_component(arrays ON "Component vid2vox::arrays: npz and tsv.gz (libzip, zlib)")
vid2vox_optional_component(report ON "Component vid2vox::report: maps, curves, HTML (cairo)")
vid2vox_optional_component(nifti ON
  "Component vid2vox::nifti: NIfTI volumes (libnifti2), GIFTI surfaces (expat)")
vid2vox_optional_component(onednn OFF
  "Component vid2vox::onednn: the CPU's matrix products by oneDNN")
vid2vox_optional_component(lapack OFF
  "Component vid2vox::lapack: the ridge's linear algebra by OpenBLAS, LAPACK")
vid2vox_optional_component(cuda AUTO
  "Components vid2vox::cuda, vid2vox::cuda_kernels: the CUDA backend")
