# Finds libcurl, yajl and threads, and says what to do when one is missing.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

set(CHANGEFEED_CURL_MINIMUM 7.85)
find_package(CURL QUIET)
if(NOT CURL_FOUND)
  message(
    FATAL_ERROR
      "libcurl was not found. libchangefeed needs libcurl >= "
      "${CHANGEFEED_CURL_MINIMUM} with its headers (Debian: "
      "libcurl4-openssl-dev).")
endif()
if(CURL_VERSION_STRING VERSION_LESS CHANGEFEED_CURL_MINIMUM)
  message(
    FATAL_ERROR
      "libcurl ${CURL_VERSION_STRING} is too old. libchangefeed needs libcurl "
      ">= ${CHANGEFEED_CURL_MINIMUM}; set CMAKE_PREFIX_PATH to where one is "
      "installed.")
endif()
message(STATUS "Found libcurl ${CURL_VERSION_STRING}")

find_package(YAJL 2.0 QUIET)
if(NOT YAJL_FOUND)
  message(
    FATAL_ERROR
      "yajl >= 2.0 was not found. libchangefeed needs it with its headers "
      "(Debian: libyajl-dev); set CMAKE_PREFIX_PATH to where it is installed.")
endif()
message(STATUS "Found yajl ${YAJL_VERSION}")

include(ChangefeedYajlProbe)
