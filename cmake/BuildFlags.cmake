# What every target of ours is compiled with: link postern::build_flags, and nothing else is needed.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug)
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
# -Og compiles in two thirds of the time of -O1, and a sanitized program spends its time in the checks either way.
set(CMAKE_CXX_FLAGS_SANITIZED "-Og -g1 -fno-omit-frame-pointer")
set(CMAKE_C_FLAGS_SANITIZED "${CMAKE_CXX_FLAGS_SANITIZED}")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_SOURCE_DIR}/cmake/ccache_launcher.sh" ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
if(POSTERN_SANITIZE)
  add_compile_options(-fsanitize=${POSTERN_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${POSTERN_SANITIZE})
endif()

# For targets whose text is mostly another's (CLI11's templates, generated code): checking that for undefined behaviour, too, takes
# up to half of their compile time.
function(leave_undefined_behaviour_to_others)
  if(POSTERN_SANITIZE MATCHES "undefined")
    foreach(target IN LISTS ARGN)
      target_compile_options(${target} PRIVATE -fno-sanitize=undefined)
    endforeach()
  endif()
endfunction()

# For the services: an rpc allocates some hundred times, on one thread what another frees, and jemalloc does that with less CPU than
# the C library (docs/performance-history.md).
function(allocate_by_jemalloc)
  if(NOT POSTERN_SANITIZE)
    foreach(target IN LISTS ARGN)
      target_sources(${target} PRIVATE "${CMAKE_SOURCE_DIR}/rpc/jemalloc_settings.cc")
      target_link_libraries(${target} PRIVATE PkgConfig::jemalloc)
    endforeach()
  endif()
endfunction()

# GCC 12 warns of std::string's own code where it comes from a precompiled header: it no longer knows it for a system's.
function(forgive_precompiled_strings target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
endfunction()

add_library(postern_build_flags INTERFACE)
add_library(postern::build_flags ALIAS postern_build_flags)
target_include_directories(postern_build_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(postern_build_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees uninitialised members in moved-from std::optional<Response> at -O2, where there are none.
  target_compile_options(postern_build_flags INTERFACE -Wno-maybe-uninitialized)
  if(POSTERN_SANITIZE STREQUAL "thread")
    # Asio has fences, which the sanitizer does not see; what its handlers hand to each other is ordered by its mutexes too.
    target_compile_options(postern_build_flags INTERFACE -Wno-tsan)
  endif()
endif()
target_compile_definitions(postern_build_flags INTERFACE POSTERN_VERSION="${PROJECT_VERSION}")
find_package(Threads REQUIRED)
target_link_libraries(postern_build_flags INTERFACE Threads::Threads)
