# Flags of the whole build: the developers' warnings, and whether the compiler
# adds code of its own (sanitizers, coverage, fuzzing).

if(CHANGEFEED_WARNINGS)
  add_compile_options(
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wconversion
    -Wsign-conversion
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wundef
    -Wcast-qual
    -Wvla
    -Wwrite-strings
    -Wformat=2)
endif()

if(CHANGEFEED_WERROR)
  add_compile_options(-Werror)
endif()

if(CHANGEFEED_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(
      FATAL_ERROR
        "CHANGEFEED_FUZZ needs clang, which has libFuzzer; this compiler is "
        "${CMAKE_C_COMPILER_ID}. Use the preset \"fuzz\", or set "
        "CMAKE_C_COMPILER. Without CHANGEFEED_FUZZ the fuzzers are built as "
        "regression tests with any compiler.")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(CHANGEFEED_INSTRUMENTED OFF)
if(CHANGEFEED_FUZZ OR "${CMAKE_C_FLAGS} ${CMAKE_EXE_LINKER_FLAGS}" MATCHES
                      "-fsanitize|--coverage|-fprofile")
  set(CHANGEFEED_INSTRUMENTED ON)
endif()
