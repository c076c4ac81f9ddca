# How every part of Rill is built: one set of flags, and a few one-line functions.
#
#   rill_require(TARGET PKG DEBIAN_PACKAGE)   a library by pkg-config; says what to install if it is missing
#   rill_optional(TARGET PKG DEBIAN_PACKAGE WHAT)  the same, but WHAT is left out if it is missing
#   rill_optional_cmake(TARGET CMAKE_PACKAGE IMPORTED DEBIAN_PACKAGE WHAT)  ... by its CMake configuration
#   rill_proto(NAME FILE)                     a static library of protobuf-c's code for FILE.proto, here
#   rill_library(NAME SOURCES ... DEPS ...)   a static library of the project
#   rill_test(NAME SOURCES ... DEPS ...)      a cmocka program, built and registered with ctest
#   rill_tsan(TEST ...)                       tests that are for ThreadSanitizer as well
#   rill_nf(NAME SOURCES ... DEPS ...)        a network function's shared object, in build/<preset>/nfs

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g")

set(RILL_SANITIZE "" CACHE STRING "value for -fsanitize=, empty for none")
set(RILL_MARCH "" CACHE STRING "value for -march=; empty keeps what DPDK was built for (corei7)")

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wpointer-arith -Wvla -fno-omit-frame-pointer -fno-common)
add_compile_definitions(_GNU_SOURCE RILL_VERSION="${PROJECT_VERSION}")
if(RILL_SANITIZE)
  add_compile_options(-fsanitize=${RILL_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RILL_SANITIZE})
  if(RILL_SANITIZE MATCHES "thread")
    add_compile_definitions(RTE_USE_C11_MEM_MODEL)
  endif()
endif()

find_package(PkgConfig REQUIRED)

function(rill_require target pkg debian_package)
  pkg_check_modules(RILL_${target} IMPORTED_TARGET ${pkg})
  if(NOT RILL_${target}_FOUND)
    message(FATAL_ERROR "${pkg} not found: install Debian's package '${debian_package}' "
                        "(apt-get install ${debian_package})")
  endif()
  add_library(dep_${target} INTERFACE)
  target_link_libraries(dep_${target} INTERFACE PkgConfig::RILL_${target})
  # System headers: their warnings are not ours.
  target_include_directories(dep_${target} SYSTEM INTERFACE ${RILL_${target}_INCLUDE_DIRS})
  if(target STREQUAL "dpdk" AND RILL_MARCH)
    target_compile_options(dep_${target} INTERFACE -march=${RILL_MARCH})
  endif()
endfunction()

function(rill_optional target pkg debian_package what)
  pkg_check_modules(RILL_${target} QUIET ${pkg})
  if(RILL_${target}_FOUND)
    rill_require(${target} ${pkg} ${debian_package})
    set(RILL_HAS_${target} ON PARENT_SCOPE)
  else()
    message(STATUS "No ${pkg}: ${what} is left out (apt-get install ${debian_package})")
  endif()
endfunction()

function(rill_optional_cmake target package imported debian_package what)
  find_package(${package} CONFIG QUIET)
  if(${package}_FOUND)
    add_library(dep_${target} INTERFACE)
    target_link_libraries(dep_${target} INTERFACE ${imported})
    set(RILL_HAS_${target} ON PARENT_SCOPE)
  else()
    message(STATUS "No ${package}: ${what} is left out (apt-get install ${debian_package})")
  endif()
endfunction()

function(rill_proto name file)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${file}.pb-c)
  add_custom_command(OUTPUT ${made}.c ${made}.h DEPENDS ${file}.proto VERBATIM
    COMMAND ${RILL_PROTOC} --c_out=${CMAKE_CURRENT_BINARY_DIR} -I${CMAKE_CURRENT_SOURCE_DIR} ${file}.proto)
  add_library(${name} STATIC ${made}.c ${made}.h)
  # Generated code: its warnings are not ours.
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(${name} PUBLIC dep_protobuf_c)
endfunction()

function(rill_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}
                                            ${CMAKE_SOURCE_DIR}/nf-runtime/include)
  target_link_libraries(${name} PUBLIC ${A_DEPS})
endfunction()

function(rill_test name)
  cmake_parse_arguments(A "" "TIMEOUT_S" "SOURCES;DEPS" ${ARGN})
  if(NOT A_TIMEOUT_S)
    set(A_TIMEOUT_S 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} dep_cmocka)
  set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT_S})
endfunction()

# These tests have threads, or a peer in another process that has. In a build with ThreadSanitizer they
# are what the target `tsan_tests` builds, and `ctest -L tsan` runs.
if(RILL_SANITIZE MATCHES "thread")
  add_custom_target(tsan_tests)
endif()
function(rill_tsan)
  if(RILL_SANITIZE MATCHES "thread")
    set_property(TEST ${ARGN} APPEND PROPERTY LABELS tsan)
    set_property(TEST ${ARGN} APPEND PROPERTY
                 ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
  endif()
endfunction()

function(rill_nf name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(nf_${name} MODULE ${A_SOURCES})
  target_include_directories(nf_${name} PRIVATE ${CMAKE_SOURCE_DIR}/nf-runtime/include)
  target_link_libraries(nf_${name} PRIVATE ${A_DEPS})
  set_target_properties(nf_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/nfs)
endfunction()

function(rill_subdirectory name)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/CMakeLists.txt)
    add_subdirectory(${name})
  endif()
endfunction()
