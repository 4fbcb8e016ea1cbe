# Every file that README.md, CONTRIBUTING.md and docs/*.md name in backquotes exists, and CITATION.cff has
# the project's version.

cmake_minimum_required(VERSION 3.25)

# Where a path may begin. A name without a folder may be that of any file of the sources.
set(roots "" include/ include/vid2vox/ include/vid2vox/backend/cuda/ include/vid2vox/encoding/
    src/vid2vox/runtime/ benchmarks/)
file(GLOB_RECURSE sources RELATIVE ${VID2VOX_SOURCE} ${VID2VOX_SOURCE}/include/* ${VID2VOX_SOURCE}/src/*
  ${VID2VOX_SOURCE}/examples/* ${VID2VOX_SOURCE}/tests/* ${VID2VOX_SOURCE}/benchmarks/*
  ${VID2VOX_SOURCE}/cmake/*)
set(names "")
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME)
  list(APPEND names ${name})
endforeach()

set(complaints "")
set(seen 0)
file(GLOB documents ${VID2VOX_SOURCE}/README.md ${VID2VOX_SOURCE}/CONTRIBUTING.md ${VID2VOX_SOURCE}/docs/*.md)
foreach(document IN LISTS documents)
  file(READ ${document} text)
  string(REGEX MATCHALL "`[A-Za-z0-9_./-]+\\.(hpp|cuh|cpp|cmake|txt|py|json|md|tsv)`" paths "${text}")
  foreach(path IN LISTS paths)
    string(REPLACE "`" "" path ${path})
    # What programs write, and the pack for a GPU.
    if(path MATCHES "^(summary|stage|report|torch_variants)\\.(json|txt)$" OR
       path MATCHES "^(manifest|programs)\\.tsv$")
      continue()
    endif()
    math(EXPR seen "${seen} + 1")
    set(found FALSE)
    foreach(root IN LISTS roots)
      if(EXISTS ${VID2VOX_SOURCE}/${root}${path})
        set(found TRUE)
      endif()
    endforeach()
    if(NOT found AND NOT path MATCHES "/" AND path IN_LIST names)
      set(found TRUE)
    endif()
    if(NOT found)
      file(RELATIVE_PATH document_name ${VID2VOX_SOURCE} ${document})
      string(APPEND complaints "\n  ${document_name} names ${path}")
    endif()
  endforeach()
endforeach()
if(seen LESS 50)
  message(FATAL_ERROR "found only ${seen} names of files in the documents")
endif()

file(STRINGS ${VID2VOX_SOURCE}/CITATION.cff cited REGEX "^version: ")
if(NOT cited STREQUAL "version: ${VERSION}")
  string(APPEND complaints "\n  CITATION.cff has '${cited}', the project is ${VERSION}")
endif()
if(complaints)
  message(FATAL_ERROR "not there:${complaints}")
endif()
