/*
 * Copies of changes: one block that holds the struct and all it points to.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

/* Copies s to *at, '\0' behind it, and moves *at on. */
static changefeed_str put(char **at, changefeed_str s) {
  changefeed_str copy = {NULL, 0};

  if (s.data == NULL)
    return copy;
  copy.data = *at;
  copy.len = s.len;
  memcpy(*at, s.data, s.len);
  (*at)[s.len] = '\0';
  *at += s.len + 1;
  return copy;
}

static bool add_size(size_t *total, changefeed_str s) {
  return s.data == NULL ||
         (cfi_add(*total, s.len, total) && cfi_add(*total, 1, total));
}

static bool measure(const changefeed_change *c, size_t *total) {
  *total = sizeof *c;
  if (c->rev_count > SIZE_MAX / sizeof *c->revs ||
      !cfi_add(*total, c->rev_count * sizeof *c->revs, total))
    return false;
  for (size_t i = 0; i < c->rev_count; i++)
    if (!add_size(total, c->revs[i]))
      return false;
  return add_size(total, c->seq) && add_size(total, c->id) &&
         add_size(total, c->doc) && add_size(total, c->row);
}

int changefeed_change_copy(const changefeed_change *change,
                           changefeed_change **out) {
  changefeed_change *copy;
  changefeed_str *revs;
  size_t size;
  char *at;

  if (change == NULL || out == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (!measure(change, &size) || (copy = malloc(size)) == NULL)
    return CHANGEFEED_ERR_NOMEM;
  *copy = *change;
  revs = (changefeed_str *)(copy + 1);
  at = (char *)(revs + change->rev_count);
  for (size_t i = 0; i < change->rev_count; i++)
    revs[i] = put(&at, change->revs[i]);
  copy->revs = change->rev_count != 0 ? revs : NULL;
  copy->seq = put(&at, change->seq);
  copy->id = put(&at, change->id);
  copy->doc = put(&at, change->doc);
  copy->row = put(&at, change->row);
  *out = copy;
  return CHANGEFEED_OK;
}

void changefeed_change_free(changefeed_change *copy) { free(copy); }
