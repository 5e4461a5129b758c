/*
 * What an app prints, kept in files that are rotated by size: output, output.1
 * and so on. A disk that takes no more costs the app its output, not its life.
 */
#ifndef DRONE_OUTPUT_H
#define DRONE_OUTPUT_H

#include "common/text.h"
#include <stdint.h>

typedef struct drone_output drone_output;

/* In the directory dir/log; of max bytes each, files of them. NULL: no memory.
 */
drone_output *drone_output_new(int dir, int64_t max, int files);
void drone_output_free(drone_output *o);
void drone_output_write(drone_output *o, const char *data, size_t len);
/* A line of the drone's own among the app's. */
void drone_output_note(drone_output *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Closes the file: somebody removes it, and the next write makes it again. */
void drone_output_forget(drone_output *o);
/* The last bytes of all files together. */
void drone_output_tail(const drone_output *o, size_t bytes, text *out);
uint64_t drone_output_lost(const drone_output *o); /* bytes not written */

#endif
