# flo_czmq: czmq and libzmq. Programs link czmq statically where its archive is installed (Debian's
# libczmq-dev has it), without libsystemd (see czmq/systemd.c); libflotilla, which a foreign
# program may load beside its own czmq, uses the shared one.
add_library(flo_czmq INTERFACE)
find_library(CZMQ_ARCHIVE libczmq.a)
find_library(UUID_LIBRARY uuid)
if(CZMQ_ARCHIVE AND UUID_LIBRARY)
  pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
  add_library(flo_czmq_systemd STATIC ${CMAKE_CURRENT_LIST_DIR}/czmq/systemd.c)
  target_link_libraries(flo_czmq_systemd PRIVATE flo_options)
  add_library(flo_czmq_archive INTERFACE)
  target_link_libraries(flo_czmq_archive INTERFACE
    ${CZMQ_ARCHIVE} flo_czmq_systemd PkgConfig::ZMQ ${UUID_LIBRARY})
  target_link_libraries(flo_czmq INTERFACE
    $<IF:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>,flo_czmq_archive,PkgConfig::CZMQ>)
else()
  target_link_libraries(flo_czmq INTERFACE PkgConfig::CZMQ)
endif()
