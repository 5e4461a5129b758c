/* The admin face of a balancer that is not there, for those who ask one: what
   /digest and /routes say of a list of apps and revisions that a test changes
   while they are asked. On a thread of its own. */
#ifndef PLATFORM_TEST_FACE_H
#define PLATFORM_TEST_FACE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct face face;

face *face_start(const char *id);
void face_stop(face *f);
const char *face_url(const face *f);     /* "http://127.0.0.1:43210" */
const char *face_address(const face *f); /* without http:// */
/* rev NULL: takes it away. */
void face_set(face *f, const char *app, const char *rev);
/* Answers this to everything from now on; NULL: as it should. */
void face_say(face *f, int status, const char *body);
unsigned face_asked(const face *f); /* requests so far */

#endif
