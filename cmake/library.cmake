# libflotilla: workers inside a program of one's own. All layers in one shared library; only what
# common/include/flotilla declares is visible. Installed with its headers, a pkg-config file and a
# CMake package (flotilla::sdk); examples/greeter uses both from outside.
#
# libflotilla-testing: the testing kit, in tests of programs that use libflotilla, from which it
# takes the workflow runtime and the runner of activities, so that there is one of each in the
# process. The engine's core and the lower layers, which keep nothing, it has for itself.
include(CMakePackageConfigHelpers)

add_library(flotilla_sdk SHARED common/worker/embed.c)
target_include_directories(flotilla_sdk PUBLIC
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/common/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_include_directories(flotilla_sdk PRIVATE ${CMAKE_SOURCE_DIR}/common)
# The objects by hand: the exported package must not name targets of the build.
target_link_libraries(flotilla_sdk
  PUBLIC PkgConfig::JANSSON
  PRIVATE $<BUILD_INTERFACE:flo_options>
          $<BUILD_INTERFACE:workflow-worker-role> $<BUILD_INTERFACE:io-activity-worker-role>
          $<BUILD_INTERFACE:cpu-activity-worker-role> $<BUILD_INTERFACE:flo_worker>
          -Wl,--whole-archive $<BUILD_INTERFACE:flo_base> $<BUILD_INTERFACE:flo_wire>
          $<BUILD_INTERFACE:flo_workflow> $<BUILD_INTERFACE:flo_activity>
          $<BUILD_INTERFACE:flo_client> -Wl,--no-whole-archive)
set_target_properties(flotilla_sdk PROPERTIES OUTPUT_NAME flotilla
  EXPORT_NAME sdk VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

add_library(flotilla_testing SHARED $<TARGET_OBJECTS:flo_testing>)
target_link_libraries(flotilla_testing PUBLIC flotilla_sdk PkgConfig::JANSSON
  PRIVATE $<BUILD_INTERFACE:flo_options> $<TARGET_FILE:flo_engine_core>
          $<TARGET_FILE:flo_activity> $<TARGET_FILE:flo_workflow> $<TARGET_FILE:flo_wire>
          $<TARGET_FILE:flo_proto> $<TARGET_FILE:flo_base> $<BUILD_INTERFACE:PkgConfig::PROTOBUFC>
          m -Wl,--exclude-libs,ALL)
add_dependencies(flotilla_testing flo_testing)
set_target_properties(flotilla_testing PROPERTIES OUTPUT_NAME flotilla-testing LINKER_LANGUAGE C
  EXPORT_NAME testing VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

install(TARGETS flotilla_sdk flotilla_testing EXPORT flotilla LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT sdk NAMELINK_COMPONENT sdk)
install(DIRECTORY common/include/flotilla DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(EXPORT flotilla NAMESPACE flotilla:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flotilla
        COMPONENT sdk)
# Not in cmake/: CMake looks there when the build's bin/ is in PATH, and would take the build for an installation.
configure_package_config_file(cmake/flotillaConfig.cmake.in
  ${CMAKE_BINARY_DIR}/to-install/flotillaConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flotilla)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/to-install/flotillaConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
configure_file(cmake/flotilla.pc.in ${CMAKE_BINARY_DIR}/to-install/flotilla.pc @ONLY)
configure_file(cmake/flotilla-testing.pc.in ${CMAKE_BINARY_DIR}/to-install/flotilla-testing.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/to-install/flotillaConfig.cmake
              ${CMAKE_BINARY_DIR}/to-install/flotillaConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flotilla COMPONENT sdk)
install(FILES ${CMAKE_BINARY_DIR}/to-install/flotilla.pc ${CMAKE_BINARY_DIR}/to-install/flotilla-testing.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
