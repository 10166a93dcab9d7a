# flo_add_folder(FOLDER): add_subdirectory when the folder has a CMakeLists.txt, else nothing.
function(flo_add_folder folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()

# flo_add_subfolders(): flo_add_folder for each direct subfolder, in the order of their names.
function(flo_add_subfolders)
  file(GLOB children CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
       ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(child ${children})
    get_filename_component(folder ${child} DIRECTORY)
    add_subdirectory(${folder})
  endforeach()
endfunction()

# flo_layer(NAME SOURCES ... LINKS ...): one folder of common/ as a static library.
#
# A layer sees its own folder as "<layer>/<file>.h" and links only the layers that the layer rule
# (docs/architecture.md) allows it, so that a call upward does not link; scripts/check_layers
# (ctest `layers`) checks the includes too.
function(flo_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(flo_${name} STATIC ${ARG_SOURCES})
  target_include_directories(flo_${name} PUBLIC ${CMAKE_SOURCE_DIR}/common
                                                ${CMAKE_SOURCE_DIR}/common/include)
  target_link_libraries(flo_${name} PUBLIC ${ARG_LINKS} PRIVATE flo_options)
endfunction()

# flo_test_sanitized(TEST): what a test that runs our programs tells the sanitizers' runtimes. Call
# it after the test's own ENVIRONMENT is set.
function(flo_test_sanitized test)
  if(FLO_SANITIZE STREQUAL "thread")
    set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT
      "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan.supp")
  endif()
endfunction()

# flo_test(NAME SOURCES ... LINKS ...): a cmocka test program, one ctest entry.
function(flo_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} PkgConfig::CMOCKA flo_options)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS "${ARG_LABELS}")
  flo_test_sanitized(${name})
endfunction()

# flo_role_program(NAME): a worker's executable from its folder's main.c and role.c. The role is an
# object library of its own, because libflotilla holds all three (common/worker/embed.c). The
# public functions are exported whole, for the modules that the program loads.
function(flo_role_program name)
  add_library(${name}-role OBJECT role.c)
  target_link_libraries(${name}-role PUBLIC flo_worker PRIVATE flo_options)
  add_executable(${name} main.c $<TARGET_OBJECTS:${name}-role>)
  set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
  target_link_libraries(${name} PRIVATE flo_options flo_worker
    -Wl,--whole-archive flo_base flo_wire flo_workflow flo_activity flo_client -Wl,--no-whole-archive)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# flo_test_modules(NAME ...): NAME.c of this folder as a module, tests/modules/NAME.so of the build
# tree, for tests with real processes; not installed.
function(flo_test_modules)
  foreach(module ${ARGN})
    add_library(test_module_${module} MODULE ${module}.c)
    target_include_directories(test_module_${module} PRIVATE ${CMAKE_SOURCE_DIR}/common/include)
    target_link_libraries(test_module_${module} PRIVATE flo_options PkgConfig::JANSSON)
    set_target_properties(test_module_${module} PROPERTIES
      PREFIX "" OUTPUT_NAME ${module} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/modules)
  endforeach()
endfunction()
