# Debian packages by `cpack --preset package` (or cpack -G DEB in a build
# directory): the library, its development files, the command, the documents.
# What each holds is the COMPONENT of the install rules.

set(changefeed_deb_runtime "libchangefeed${PROJECT_VERSION_MAJOR}")
set(changefeed_deb_dev libchangefeed-dev)
set(changefeed_deb_tools changefeed)
set(changefeed_deb_doc libchangefeed-doc)

# ---- what only packages have ------------------------------------------------

# Debian wants a copyright file and a compressed changelog in each package. They
# are components of their own, so that `cmake --install` leaves them out.
set(changefeed_changelog "${CMAKE_CURRENT_BINARY_DIR}/package/changelog.gz")
file(ARCHIVE_CREATE OUTPUT "${changefeed_changelog}"
     PATHS "${CMAKE_CURRENT_SOURCE_DIR}/CHANGELOG.md"
     FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS CHANGELOG.md)
# The licence as a field of that file: indented, and a dot in empty lines.
file(READ LICENSE changefeed_license)
string(REGEX REPLACE "^.*contributors\n\n" "" changefeed_license
                     "${changefeed_license}")
string(STRIP "${changefeed_license}" changefeed_license)
string(REPLACE "\n" "\n " changefeed_license " ${changefeed_license}")
string(REPLACE "\n \n" "\n .\n" changefeed_license "${changefeed_license}")
configure_file(cmake/copyright.in "${CMAKE_CURRENT_BINARY_DIR}/package/copyright"
               @ONLY)
foreach(part runtime dev tools doc)
  install(
    FILES "${CMAKE_CURRENT_BINARY_DIR}/package/copyright"
          "${changefeed_changelog}"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${changefeed_deb_${part}}"
    COMPONENT deb_${part} EXCLUDE_FROM_ALL)
endforeach()
set(changefeed_docdir "${CMAKE_INSTALL_DATADIR}/doc/${changefeed_deb_doc}")
install(
  FILES README.md SECURITY.md
  DESTINATION "${changefeed_docdir}"
  COMPONENT deb_doc EXCLUDE_FROM_ALL)
install(
  DIRECTORY docs/
  DESTINATION "${changefeed_docdir}/docs"
  COMPONENT deb_doc EXCLUDE_FROM_ALL
  FILES_MATCHING
  PATTERN "*.md"
  PATTERN "*.svg"
  PATTERN man EXCLUDE)
install(
  DIRECTORY examples/
  DESTINATION "${changefeed_docdir}/examples"
  COMPONENT deb_doc EXCLUDE_FROM_ALL
  FILES_MATCHING
  PATTERN "*.c"
  PATTERN "*.cpp"
  PATTERN "*.h"
  PATTERN "*.conf"
  PATTERN "CMakeLists.txt"
  PATTERN changefeed EXCLUDE
  PATTERN common EXCLUDE # and the platform's programs, which need it
  PATTERN drone EXCLUDE
  PATTERN provisioner EXCLUDE
  PATTERN apps EXCLUDE
  PATTERN demo EXCLUDE
  PATTERN node_modules EXCLUDE)

# ---- the packages -----------------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME changefeed)
set(CPACK_PACKAGE_VENDOR "libchangefeed contributors")
set(CPACK_PACKAGE_CONTACT
    "libchangefeed contributors <changefeed@localhost.localdomain>"
    CACHE STRING "Maintainer of the packages: Name <address>")
# Else it would be the first line of each package's description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGING_INSTALL_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/packages")
set(CPACK_STRIP_FILES TRUE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(changefeed_same "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${changefeed_deb_runtime})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
    "follower of CouchDB change feeds: shared library
Follows the change feeds of CouchDB databases and does not lose its place:
reconnects, notices dead connections, remembers what has been handled, and
tells when a database is no longer the one it was.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
# Below what dpkg-shlibdeps finds, since it knows functions, not behaviour.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS
    "libcurl4 (>= ${CHANGEFEED_CURL_MINIMUM}) \
| libcurl3-gnutls (>= ${CHANGEFEED_CURL_MINIMUM})")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# Instead of CPack's own scripts, which do not know of packages that are
# installed into another root.
foreach(script postinst postrm)
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/package/${script}"
       "#!/bin/sh\nset -e\n[ -n \"$DPKG_ROOT\" ] || ldconfig\n")
  file(CHMOD "${CMAKE_CURRENT_BINARY_DIR}/package/${script}"
       PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                   WORLD_READ WORLD_EXECUTE)
endforeach()
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
    "${CMAKE_CURRENT_BINARY_DIR}/package/postinst"
    "${CMAKE_CURRENT_BINARY_DIR}/package/postrm")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)

# pkg-config reads libcurl.pc and yajl.pc even for the flags of the shared
# library, since changefeed.pc requires them.
set(CPACK_DEBIAN_DEV_PACKAGE_NAME ${changefeed_deb_dev})
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "${changefeed_deb_runtime} ${changefeed_same}, \
libcurl4-openssl-dev (>= ${CHANGEFEED_CURL_MINIMUM}) | libcurl-dev, \
libyajl-dev (>= 2.0), libc6-dev | libc-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "${changefeed_deb_doc}, pkg-config")
set(CPACK_DEBIAN_DEV_DESCRIPTION
    "follower of CouchDB change feeds: development files
Headers, static library, pkg-config and CMake packages and the pages of the
manual about the functions.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME ${changefeed_deb_tools})
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${CMAKE_CURRENT_BINARY_DIR}")
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS
    "${changefeed_deb_runtime} ${changefeed_same}")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS bash-completion)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION
    "prints the changes of CouchDB databases
A command that prints the changes of a database, a line each, the moment they
are complete, and goes on where it was after a restart.")

set(CPACK_DEBIAN_DOC_PACKAGE_NAME ${changefeed_deb_doc})
set(CPACK_DEBIAN_DOC_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_DOC_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DOC_DESCRIPTION
    "follower of CouchDB change feeds: manual and examples
The manual, the table of options, how the library is built and why, and
programs to start from.")

set(CPACK_COMPONENTS_ALL runtime dev deb_runtime deb_dev doc deb_doc)
set(changefeed_groups runtime dev doc)
if(CHANGEFEED_BUILD_EXAMPLES AND CHANGEFEED_MIRROR)
  list(APPEND CPACK_COMPONENTS_ALL tools deb_tools)
  list(APPEND changefeed_groups tools)
endif()
include(CPack)
foreach(part IN LISTS changefeed_groups)
  cpack_add_component_group(${part})
  cpack_add_component(${part} GROUP ${part})
  cpack_add_component(deb_${part} GROUP ${part})
endforeach()
