# yajl 2.1.0 as released ends the process on some valid JSON, and leaks;
# distributions patch it. Tries the installed one and warns. Nothing can be tried
# when cross compiling.

function(changefeed_probe_yajl)
  if(CMAKE_CROSSCOMPILING OR DEFINED CHANGEFEED_YAJL_PATCHED)
    return()
  endif()
  # The probe judges yajl: a sanitizer's complaints would be about the probe.
  if(CMAKE_C_FLAGS MATCHES "-fsanitize|--coverage")
    set(CMAKE_C_FLAGS "")
  endif()
  set(CMAKE_C_STANDARD 11)
  try_run(
    ran compiled "${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/yajl-probe"
    "${PROJECT_SOURCE_DIR}/cmake/yajl_probe.c"
    LINK_LIBRARIES YAJL::YAJL
    COMPILE_OUTPUT_VARIABLE output)
  if(NOT compiled)
    message(FATAL_ERROR "yajl was found at ${YAJL_LIBRARY}, but a small "
                        "program does not build with it:\n${output}")
  endif()
  if(ran EQUAL 0)
    set(patched TRUE)
  else()
    set(patched FALSE)
    if(ran EQUAL 3)
      set(fault "leaks memory when JSON ends too early (CVE-2023-33460)")
    else()
      set(fault "does not survive the valid JSON text \"\\ud800\\\\x\" \
(CVE-2017-16516; probe: ${ran}). A document that holds it would end every \
follower")
    endif()
    message(
      WARNING
        "This yajl (${YAJL_VERSION}, ${YAJL_LIBRARY}) is without its security "
        "patches: it ${fault}. Use a patched yajl: Debian's and Fedora's "
        "packages are.")
  endif()
  set(CHANGEFEED_YAJL_PATCHED ${patched} CACHE INTERNAL
      "The installed yajl has its security patches, as far as can be tried")
endfunction()

changefeed_probe_yajl()
