include(CMakePackageConfigHelpers)

get_property(vid2vox_targets GLOBAL PROPERTY VID2VOX_TARGETS)
install(TARGETS ${vid2vox_targets} EXPORT vid2voxTargets)
install(DIRECTORY include/vid2vox DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
set(vid2vox_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vid2vox)
install(EXPORT vid2voxTargets NAMESPACE vid2vox:: DESTINATION ${vid2vox_package_dir})
configure_package_config_file(cmake/vid2voxConfig.cmake.in vid2voxConfig.cmake
  INSTALL_DESTINATION ${vid2vox_package_dir}
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Headers may change with each minor version before 1.0.
set(independent ARCH_INDEPENDENT)
if(VID2VOX_CUDA)
  set(independent "")  # the kernels are compiled
endif()
write_basic_package_version_file(vid2voxConfigVersion.cmake COMPATIBILITY SameMinorVersion
  ${independent})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/vid2voxConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/vid2voxConfigVersion.cmake
              cmake/dependencies.cmake cmake/cuda_dependencies.cmake
        DESTINATION ${vid2vox_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
