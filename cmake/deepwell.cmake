# SPDX-License-Identifier: Apache-2.0
# The three helpers every CMakeLists.txt here uses: dw_library, dw_registry, dw_executable.

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths below the source tree count as relative, so that another clone finds the same objects.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these falsely inside its own headers (bugs 105329, 105593, 105651).
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
if(DEEPWELL_SANITIZE)
  add_compile_options(-fsanitize=${DEEPWELL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DEEPWELL_SANITIZE})
endif()

# dw_library(engine/kernels DEPENDS base engine/quant LINKS fmt::fmt)
# The sources of src/engine/kernels (all .cpp below it that no nested CMakeLists.txt owns) become the
# target dw_engine_kernels; DEPENDS are lower layers, LINKS are outside libraries.
function(dw_library path)
  cmake_parse_arguments(A "" "" "DEPENDS;LINKS;SOURCES" ${ARGN})
  string(REPLACE "/" "_" name "dw_${path}")
  if(A_SOURCES)
    set(sources ${A_SOURCES})
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(${name} PUBLIC ${A_LINKS})
  foreach(dependency ${A_DEPENDS})
    string(REPLACE "/" "_" dependency "dw_${dependency}")
    target_link_libraries(${name} PUBLIC ${dependency})
  endforeach()
endfunction()

# dw_registry(engine/kernels Kernel kernel HEADER engine/kernels/kernel.h FOLDERS scalar avx2 avx512)
# The folder is the registry: each file FOLDER/NAME.cpp must define `Kernel kernel_FOLDER_NAME()`
# (`kernel_NAME()` for FOLDER "."), and all_kernels() returns them all.
function(dw_registry path type prefix)
  cmake_parse_arguments(A "" "HEADER;NAMESPACE" "FOLDERS;EXCLUDE" ${ARGN})
  string(REPLACE "/" "_" target "dw_${path}")
  if(NOT A_NAMESPACE)
    set(A_NAMESPACE deepwell)
  endif()
  set(declarations "")
  set(calls "")
  foreach(folder ${A_FOLDERS})
    file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
    foreach(file ${files})
      get_filename_component(stem ${file} NAME_WE)
      if(stem IN_LIST A_EXCLUDE)
        continue()
      endif()
      if(folder STREQUAL ".")
        set(function "${prefix}_${stem}")
      else()
        set(function "${prefix}_${folder}_${stem}")
      endif()
      string(APPEND declarations "${type} ${function}();\n")
      string(APPEND calls "      ${function}(),\n")
    endforeach()
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${path}/all_${prefix}s.cpp)
  file(CONFIGURE OUTPUT ${out} CONTENT
"// Written by dw_registry (cmake/deepwell.cmake): one entry a file of the folder.
#include \"${A_HEADER}\"
namespace ${A_NAMESPACE} {
${declarations}
const std::vector<${type}>& all_${prefix}s() {
  static const std::vector<${type}> all = {
${calls}  };
  return all;
}
}  // namespace ${A_NAMESPACE}
" @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()

# In a list of several builds' tests (scripts/test.sh) the name says which build ran: asan/..., tsan/...
if(DEEPWELL_SANITIZE MATCHES "address")
  set(DEEPWELL_TEST_PREFIX "asan/")
elseif(DEEPWELL_SANITIZE MATCHES "thread")
  set(DEEPWELL_TEST_PREFIX "tsan/")
endif()

# dw_tests(engine/kernels DEPENDS engine/kernels): tests/engine/kernels/*_test.cpp as one program.
function(dw_tests path)
  cmake_parse_arguments(A "" "" "DEPENDS;LINKS" ${ARGN})
  string(REPLACE "/" "_" name "${path}_tests")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  add_executable(${name} ${sources})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE DEEPWELL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE GTest::gtest_main ${A_LINKS})
  foreach(dependency ${A_DEPENDS})
    string(REPLACE "/" "_" dependency "dw_${dependency}")
    target_link_libraries(${name} PRIVATE ${dependency})
  endforeach()
  gtest_discover_tests(${name} TEST_PREFIX "${DEEPWELL_TEST_PREFIX}${path}/" DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300)
endfunction()

# dw_fuzzer(formats/gguf DEPENDS engine/formats): fuzz/formats/gguf.cpp as fuzz_formats_gguf, its seeds
# in fuzz/formats/gguf.corpus/; as the test fuzz/formats/gguf it runs for $FUZZ_SECONDS.
function(dw_fuzzer path)
  cmake_parse_arguments(A "" "" "DEPENDS;LINKS" ${ARGN})
  string(REPLACE "/" "_" name "fuzz_${path}")
  add_executable(${name} ${CMAKE_SOURCE_DIR}/fuzz/${path}.cpp)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  add_test(NAME fuzz/${path} COMMAND ${CMAKE_SOURCE_DIR}/scripts/fuzz_one.sh $<TARGET_FILE:${name}>
    ${CMAKE_SOURCE_DIR}/fuzz/${path}.corpus ${CMAKE_BINARY_DIR}/fuzzing/${path})
  set_tests_properties(fuzz/${path} PROPERTIES TIMEOUT 3600)
  target_link_libraries(${name} PRIVATE ${A_LINKS})
  foreach(dependency ${A_DEPENDS})
    string(REPLACE "/" "_" dependency "dw_${dependency}")
    target_link_libraries(${name} PRIVATE ${dependency})
  endforeach()
endfunction()

# dw_python_test(house/check_layers [BINARY]): tests/house/check_layers_test.py, run with the python of .venv where there
# is one (scripts/setup.sh test makes it), else python3. BINARY: the test drives the program, whose path it finds in
# $DEEPWELL. Exit code 77 skips. Not under sanitizers: these tests judge what users run.
function(dw_python_test path)
  cmake_parse_arguments(A "BINARY" "" "" ${ARGN})
  if(DEEPWELL_SANITIZE)
    return()
  endif()
  add_test(NAME ${path} COMMAND ${CMAKE_SOURCE_DIR}/scripts/python.sh ${CMAKE_SOURCE_DIR}/tests/${path}_test.py)
  set_tests_properties(${path} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
  if(A_BINARY)
    set_tests_properties(${path} PROPERTIES ENVIRONMENT DEEPWELL=$<TARGET_FILE:deepwell>)
  endif()
endfunction()
