# Finds yajl by pkg-config where there is one, else by looking for it.
#
#   YAJL_FOUND, YAJL_VERSION, YAJL_INCLUDE_DIR, YAJL_LIBRARY
#   YAJL_HAS_PKGCONFIG  its yajl.pc can be named in a Requires line
#   YAJL::YAJL          target to link; headers are <yajl/yajl_parse.h>

find_package(PkgConfig QUIET)
set(YAJL_HAS_PKGCONFIG FALSE)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(PC_YAJL QUIET yajl)
  if(PC_YAJL_FOUND)
    set(YAJL_HAS_PKGCONFIG TRUE)
  endif()
endif()

# yajl.pc names the directory yajl/ itself; the headers are asked for with it.
find_path(
  YAJL_INCLUDE_DIR yajl/yajl_parse.h
  HINTS "${PC_YAJL_INCLUDEDIR}/.." "${PC_YAJL_INCLUDEDIR}"
        ${PC_YAJL_INCLUDE_DIRS})
find_library(YAJL_LIBRARY NAMES yajl yajl_s HINTS ${PC_YAJL_LIBDIR}
                                                  ${PC_YAJL_LIBRARY_DIRS})

set(YAJL_VERSION)
if(YAJL_INCLUDE_DIR AND EXISTS "${YAJL_INCLUDE_DIR}/yajl/yajl_version.h")
  file(STRINGS "${YAJL_INCLUDE_DIR}/yajl/yajl_version.h" yajl_version_lines
       REGEX "^#define[ \t]+YAJL_(MAJOR|MINOR|MICRO)[ \t]+[0-9]+")
  foreach(part MAJOR MINOR MICRO)
    string(REGEX MATCH "YAJL_${part}[ \t]+([0-9]+)" yajl_version_match
                       "${yajl_version_lines}")
    list(APPEND YAJL_VERSION "${CMAKE_MATCH_1}")
  endforeach()
  list(JOIN YAJL_VERSION "." YAJL_VERSION)
  unset(yajl_version_lines)
  unset(yajl_version_match)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  YAJL
  REQUIRED_VARS YAJL_LIBRARY YAJL_INCLUDE_DIR
  VERSION_VAR YAJL_VERSION)

if(YAJL_FOUND AND NOT TARGET YAJL::YAJL)
  add_library(YAJL::YAJL UNKNOWN IMPORTED)
  set_target_properties(
    YAJL::YAJL PROPERTIES IMPORTED_LOCATION "${YAJL_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${YAJL_INCLUDE_DIR}")
endif()
mark_as_advanced(YAJL_INCLUDE_DIR YAJL_LIBRARY)
