# link_statically(TARGET NAME...): what a leave passes through again and again (gRPC, protobuf, Abseil, libsodium, Boost.JSON, and the
# libraries NAME) becomes part of the program: a call is then a call, not a jump by a table of one of ninety libraries. That takes
# 5 % off a leave's CPU, and a program starts in half of the time (decision 33). Tests are linked with the shared ones, and so is
# everything where mold or one of the archives is missing.
#
# mold takes a symbol from the first file that has it, archive or shared library, in whatever order they refer to each other. So the
# archives are named first, and of the shared libraries that targets bring along those are left out that nobody needs any more.
# Of one library never both: Abseil and protobuf have state of their own.
# TARGET.archives, beside the program, says what was linked, for the SBOM of an image.
set(POSTERN_STATIC_LIBRARIES
  absl_base grpc++_reflection grpc++ grpc gpr upb address_sorting protobuf re2 sodium boost_json boost_container)

function(link_statically target)
  if(NOT MOLD OR NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return()
  endif()
  foreach(name IN LISTS POSTERN_STATIC_LIBRARIES ARGN)
    find_library("ARCHIVE_${name}" NAMES "lib${name}.a")
    mark_as_advanced("ARCHIVE_${name}")
    if(NOT ARCHIVE_${name})
      message(STATUS "${target} is linked with shared libraries: there is no lib${name}.a")
      return()
    endif()
    list(APPEND archives "${ARCHIVE_${name}}")
  endforeach()
  cmake_path(GET ARCHIVE_absl_base PARENT_PATH directory)
  file(GLOB abseil "${directory}/libabsl_*.a")
  list(APPEND archives ${abseil})
  list(REMOVE_DUPLICATES archives)
  target_link_options(${target} PRIVATE ${archives} -Wl,--as-needed)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${archives})
  list(JOIN archives "\n" lines)
  file(GENERATE OUTPUT "$<TARGET_FILE:${target}>.archives" CONTENT "${lines}\n")
endfunction()
