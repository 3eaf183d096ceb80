# Compiler options of our own targets; third-party headers are SYSTEM and stay out of them.

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD AND NOT CHUNKVAULT_FUZZ)
  add_link_options(-fuse-ld=mold)
endif()

if(CHUNKVAULT_SANITIZE)
  add_compile_options(-fsanitize=${CHUNKVAULT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CHUNKVAULT_SANITIZE})
endif()
if(CHUNKVAULT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(CHUNKVAULT_COVERAGE)
  # Counters that threads raise at once lose counts otherwise, and gcovr ends at one that comes out below zero.
  add_compile_options(--coverage -fprofile-update=atomic -O0)
  add_link_options(--coverage)
endif()

# A static library of the house: one room, its sources listed, warnings as errors.
# chunkvault_library(NAME SOURCES a.cpp b.cpp LINKS public_target...)
function(chunkvault_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  chunkvault_warnings(${name})
endfunction()

# An executable of the house, in build/<preset>/bin/.
function(chunkvault_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  chunkvault_warnings(${name})
endfunction()

function(chunkvault_warnings name)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor
    -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Wswitch -Werror
    -Wno-missing-field-initializers)  # designated initializers name what differs from the defaults
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports these inside its own standard library at -O2.
    target_compile_options(${name} PRIVATE -Wno-null-dereference -Wno-restrict -Wno-maybe-uninitialized
      -Wno-stringop-overflow -Wno-array-bounds)
  endif()
endfunction()
