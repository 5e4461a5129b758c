# What `cmake --install` puts where: headers, libraries, changefeed.pc, the
# CMake package, man pages, completion and licence. The command installs itself
# from its own directory. A component is what one package holds.

include(CMakePackageConfigHelpers)

set(changefeed_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/changefeed")
set(changefeed_generated "${CMAKE_CURRENT_BINARY_DIR}/package")

set(changefeed_headers
    include/changefeed/changefeed.h include/changefeed/export.h
    "${CMAKE_CURRENT_BINARY_DIR}/include/changefeed/version.h")
if(CHANGEFEED_MIRROR)
  list(APPEND changefeed_headers include/changefeed/mirror.h)
endif()
install(FILES ${changefeed_headers}
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/changefeed"
        COMPONENT dev)

# Two export sets: who links the shared library needs neither libcurl's nor
# yajl's development files.
if(CHANGEFEED_BUILD_SHARED)
  install(
    TARGETS changefeed
    EXPORT changefeed-shared
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
            COMPONENT runtime
            NAMELINK_COMPONENT dev
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
            COMPONENT runtime)
  install(
    EXPORT changefeed-shared
    FILE changefeedShared.cmake
    NAMESPACE changefeed::
    DESTINATION "${changefeed_cmake_dir}"
    COMPONENT dev)
endif()
if(CHANGEFEED_BUILD_STATIC)
  install(
    TARGETS changefeed_static
    EXPORT changefeed-static
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
            COMPONENT dev)
  install(
    EXPORT changefeed-static
    FILE changefeedStatic.cmake
    NAMESPACE changefeed::
    DESTINATION "${changefeed_cmake_dir}"
    COMPONENT dev)
endif()

configure_package_config_file(
  cmake/changefeedConfig.cmake.in
  "${changefeed_generated}/changefeedConfig.cmake"
  INSTALL_DESTINATION "${changefeed_cmake_dir}"
  NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file(
  "${changefeed_generated}/changefeedConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${changefeed_generated}/changefeedConfig.cmake"
              "${changefeed_generated}/changefeedConfigVersion.cmake"
              cmake/FindYAJL.cmake
        DESTINATION "${changefeed_cmake_dir}"
        COMPONENT dev)

# changefeed.pc finds its prefix from where it lies itself, so that a moved
# tree, or `cmake --install --prefix`, stays right.
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR changefeed_absolute)
if(changefeed_absolute)
  set(CHANGEFEED_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(CHANGEFEED_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH changefeed_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" changefeed_up "${changefeed_up}")
  set(CHANGEFEED_PC_PREFIX "\${pcfiledir}/${changefeed_up}")
  set(CHANGEFEED_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_INCLUDEDIR changefeed_absolute)
if(changefeed_absolute)
  set(CHANGEFEED_PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(CHANGEFEED_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(CHANGEFEED_PC_REQUIRES "libcurl >= ${CHANGEFEED_CURL_MINIMUM}")
set(CHANGEFEED_PC_LIBS_PRIVATE "-pthread")
if(YAJL_HAS_PKGCONFIG)
  string(APPEND CHANGEFEED_PC_REQUIRES ", yajl >= 2.0")
else()
  string(PREPEND CHANGEFEED_PC_LIBS_PRIVATE "-lyajl ")
endif()
set(CHANGEFEED_PC_PRIVATE ".private")
set(CHANGEFEED_PC_LIBS "")
if(NOT CHANGEFEED_BUILD_SHARED)
  # Everybody links what the static library needs.
  set(CHANGEFEED_PC_PRIVATE "")
  set(CHANGEFEED_PC_LIBS "${CHANGEFEED_PC_LIBS_PRIVATE}")
endif()
configure_file(pkgconfig/changefeed.pc.in
               "${changefeed_generated}/changefeed.pc" @ONLY)
install(FILES "${changefeed_generated}/changefeed.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
        COMPONENT dev)

set(changefeed_manual_1 tools)
set(changefeed_manual_3 dev)
set(changefeed_manual_5 tools)
set(changefeed_manual_7 dev)
foreach(section 1 3 5 7)
  file(GLOB changefeed_pages CONFIGURE_DEPENDS
       "${CMAKE_CURRENT_SOURCE_DIR}/docs/man/*.${section}")
  if(NOT CHANGEFEED_MIRROR)
    list(FILTER changefeed_pages EXCLUDE REGEX
         "/changefeed_(mirror|view|digest|snapshot)_[a-z_]*\\.3$")
  endif()
  if(section EQUAL 1) # the programs of the platform run where they are built
    list(FILTER changefeed_pages INCLUDE REGEX "/changefeed[^/]*$")
  endif()
  # A page of section 3 is found by each of its names.
  set(changefeed_links "")
  if(section EQUAL 3)
    foreach(page IN LISTS changefeed_pages)
      cmake_path(GET page FILENAME file)
      file(STRINGS "${page}" names REGEX "^\\.Nm [a-z]")
      foreach(name IN LISTS names)
        string(REGEX REPLACE "^\\.Nm ([a-z0-9_]+).*$" "\\1.3" name "${name}")
        if(NOT name STREQUAL file)
          file(CONFIGURE OUTPUT "${changefeed_generated}/man3/${name}"
               CONTENT ".so man3/@file@\n" @ONLY)
          list(APPEND changefeed_links "${changefeed_generated}/man3/${name}")
        endif()
      endforeach()
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${page}")
    endforeach()
  endif()
  if(changefeed_pages)
    install(FILES ${changefeed_pages} ${changefeed_links}
            DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}"
            COMPONENT ${changefeed_manual_${section}})
  endif()
endforeach()

if(CHANGEFEED_BUILD_EXAMPLES)
  install(
    FILES examples/changefeed/changefeed.bash
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
    COMPONENT tools
    RENAME changefeed)
endif()

install(
  FILES LICENSE README.md CHANGELOG.md SECURITY.md
  DESTINATION "${CMAKE_INSTALL_DOCDIR}"
  COMPONENT text)
