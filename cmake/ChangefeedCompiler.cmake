# Flags of the whole build: the developers' warnings, whether the compiler adds
# code of its own (sanitizers, coverage, fuzzing), and what is compiled for speed
# and what for size.

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

# Rows and bytes pass few of the files. Every byte passes those of the first
# list, which are compiled as the build says; those of the second are compiled
# with -O2, since -O3 makes them larger and no faster; all others for size, which
# makes the whole a quarter smaller. Builds that are not optimised stay as they
# are.
set(changefeed_hottest
    "buf|feed_(note|rows)|frame(_row)?|row_direct|scan(_[a-z0-9]+)?")
set(changefeed_hot
    "arena|crc|driver_[a-z]+|feed_(deliver|taken)|hash|loop(_feeds|_heap)?|"
    "mirror_digest|mirror_tree(_[a-z]+)?|repeat|row|str|window")
list(JOIN changefeed_hottest "" changefeed_hottest)
list(JOIN changefeed_hot "" changefeed_hot)

function(changefeed_optimise)
  if(NOT CHANGEFEED_SMALL OR NOT CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    return()
  endif()
  set(optimised)
  foreach(config IN LISTS CMAKE_CONFIGURATION_TYPES CMAKE_BUILD_TYPE)
    string(TOUPPER "${config}" upper)
    if("${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${upper}}" MATCHES "-O[23]")
      list(APPEND optimised "${config}")
    endif()
  endforeach()
  if(NOT optimised)
    return()
  endif()
  list(JOIN optimised "," optimised)
  foreach(source IN LISTS ARGN)
    set(level -Os)
    if(source MATCHES "/(${changefeed_hottest})\\.c$")
      continue()
    elseif(source MATCHES "/(${changefeed_hot})\\.c$")
      set(level -O2)
    endif()
    set_property(SOURCE "${source}" APPEND
                 PROPERTY COMPILE_OPTIONS "$<$<CONFIG:${optimised}>:${level}>")
  endforeach()
endfunction()
