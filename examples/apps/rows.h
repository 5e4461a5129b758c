/* An app as it is shown: taken out of the API's answer, or out of a route as
   the database has it. A document that somebody broke is shown as far as it
   goes. */
#ifndef APPS_ROWS_H
#define APPS_ROWS_H

#include "apps/apps.h"

/* Borrowed from the JSON it was read of; never NULL. */
typedef struct apps_row {
  const char *app, *state, *code, *msg, *wanted;
  const char *drone, *claim;
  const json_t *hosts;            /* an array, or NULL */
  int64_t gen, wanted_gen, at_ms; /* 0: not told */
} apps_row;

/* {name, state, hosts, want, route}, or of a list, without a route. */
void apps_row_of_app(const json_t *object, apps_row *row);
/* A document route:NAME. */
void apps_row_of_route(const json_t *route, apps_row *row);
/* "a.example b.example", or "-". */
const char *apps_row_hosts(const apps_row *row, text *out);
/* What is seen from outside: the exit status of `apps status`. */
int apps_row_exit(const apps_row *row);
/* Whether a line about it would read otherwise. */
bool apps_row_same(const apps_row *a, const apps_row *b);
/* One line for people, or of JSON. */
void apps_row_print(apps_run *run, const apps_row *row, const char *stamp);
/* The array of the answer to GET /WHAT: {WHAT:[..]}, or the array itself. */
const json_t *apps_rows(const json_t *body, const char *what);

#endif
