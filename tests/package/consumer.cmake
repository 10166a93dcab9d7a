# Install the sdk component into an empty prefix, build the examples against it both ways, run them.
set(prefix ${BUILD}/package-consumer)
file(REMOVE_RECURSE ${prefix})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${rc}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}/root --component sdk)
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/greeter -B ${prefix}/build -G Ninja
    -DCMAKE_PREFIX_PATH=${prefix}/root -DCMAKE_C_COMPILER=${CC})
run(${CMAKE_COMMAND} --build ${prefix}/build)
run(${prefix}/build/greeter workflow --version)
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/completer -B ${prefix}/build-completer -G Ninja
    -DCMAKE_PREFIX_PATH=${prefix}/root -DCMAKE_C_COMPILER=${CC})
run(${CMAKE_COMMAND} --build ${prefix}/build-completer)

# Examples with tests of their own, which use the testing kit.
file(GLOB tests ${SOURCE}/examples/*/test_*.c)
foreach(test ${tests})
  get_filename_component(folder ${test} DIRECTORY)
  get_filename_component(name ${folder} NAME)
  run(${CMAKE_COMMAND} -S ${folder} -B ${prefix}/build-${name} -G Ninja
      -DCMAKE_PREFIX_PATH=${prefix}/root -DCMAKE_C_COMPILER=${CC} -DCMAKE_C_FLAGS=-Wall\ -Wextra\ -Werror)
  run(${CMAKE_COMMAND} --build ${prefix}/build-${name})
  run(${CMAKE_CTEST_COMMAND} --test-dir ${prefix}/build-${name} --output-on-failure --no-tests=error)
endforeach()

file(GLOB_RECURSE pc ${prefix}/root/*/flotilla.pc)
get_filename_component(pc_dir ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${pc_dir})
execute_process(COMMAND pkg-config --define-variable=prefix=${prefix}/root --cflags --libs flotilla
                OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${CC} ${SOURCE}/examples/greeter/greeter.c ${flags} -o ${prefix}/greeter)
get_filename_component(lib_dir ${pc_dir} DIRECTORY)
set(ENV{LD_LIBRARY_PATH} ${lib_dir})
run(${prefix}/greeter activity --version)

# The testing kit by pkg-config; it brings libflotilla along.
execute_process(COMMAND pkg-config --define-variable=prefix=${prefix}/root --cflags --libs flotilla-testing
                OUTPUT_VARIABLE kit_flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(kit_flags UNIX_COMMAND "${kit_flags}")
run(${CC} ${SOURCE}/examples/hello/test_hello.c ${SOURCE}/examples/hello/hello.c ${kit_flags}
    -o ${prefix}/test_hello)
run(${prefix}/test_hello)

# A call that finds no server says so; and every header is C++ as well.
execute_process(COMMAND ${CMAKE_COMMAND} -E env TEMPORAL_ADDRESS=nowhere:bad
                        ${prefix}/build-completer/completer AAAA 1
                RESULT_VARIABLE rc ERROR_VARIABLE said)
if(NOT rc EQUAL 1 OR NOT said MATCHES "completer: .*nowhere")
  message(FATAL_ERROR "completer without a server: ${rc} ${said}")
endif()
file(GLOB_RECURSE headers RELATIVE ${prefix}/root/include ${prefix}/root/include/flotilla/*.h ${prefix}/root/include/flotilla/workflow/*.h)
foreach(header ${headers})
  file(APPEND ${prefix}/all.cc "#include <${header}>\n")
endforeach()
run(${CC} -x c++ -Wall -Wextra -Werror -fsyntax-only ${flags} ${prefix}/all.cc)
