# flo_czmq: czmq and libzmq, for the supervisor (workers load libzmq when they report to one:
# common/telemetry/zeromq.h). czmq is linked statically where its archive is installed (Debian's
# libczmq-dev has it), without libsystemd (see czmq/systemd.c).
add_library(flo_czmq INTERFACE)
find_library(CZMQ_ARCHIVE libczmq.a)
find_library(UUID_LIBRARY uuid)
if(CZMQ_ARCHIVE AND UUID_LIBRARY)
  add_library(flo_czmq_systemd STATIC ${CMAKE_CURRENT_LIST_DIR}/czmq/systemd.c)
  target_link_libraries(flo_czmq_systemd PRIVATE flo_options)
  target_link_libraries(flo_czmq INTERFACE
    ${CZMQ_ARCHIVE} flo_czmq_systemd PkgConfig::ZMQ ${UUID_LIBRARY})
else()
  target_link_libraries(flo_czmq INTERFACE PkgConfig::CZMQ)
endif()
