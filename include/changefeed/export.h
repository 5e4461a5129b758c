/*
 * Marks what the shared library exports; everything else in it is hidden.
 * Define CHANGEFEED_STATIC when linking the static library: the CMake target
 * changefeed::changefeed_static and `pkg-config --static` do it.
 */
#ifndef CHANGEFEED_EXPORT_H
#define CHANGEFEED_EXPORT_H

#if !defined(CHANGEFEED_STATIC) && defined(__GNUC__) && __GNUC__ >= 4
#define CHANGEFEED_EXTERN __attribute__((visibility("default")))
#else
#define CHANGEFEED_EXTERN
#endif

#endif
