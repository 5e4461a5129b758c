/* What differs between two balancers, found by digests of ever smaller ranges
   of apps' names; see peers.h. */
#include "balancer/peers_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  LIST_MOST = 500,
  ASKS_MOST = 2000,
  SECONDS_MOST = 5,
  DEPTH_MOST = NAME_MOST
};

/* What may stand in a name, in order; and one beyond. */
static const char letters[] = "-0123456789abcdefghijklmnopqrstuvwxyz{";

typedef struct search {
  rest *mine, *theirs;
  peer_route *left, *right; /* LIST_MOST each */
  peer_difference *out;
  size_t count, most;
  unsigned asks;
  time_t end; /* monotonic */
  bool more;
  char *error;
  size_t size;
} search;

static time_t now_s(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

static void add(search *s, const peer_route *left, const peer_route *right) {
  peer_difference *d;

  if (s->count == s->most) {
    s->more = true;
    return;
  }
  d = &s->out[s->count++];
  memset(d, 0, sizeof *d);
  (void)snprintf(d->app, sizeof d->app, "%s",
                 left != NULL ? left->app : right->app);
  if (left != NULL)
    memcpy(d->mine, left->rev, sizeof d->mine);
  if (right != NULL)
    memcpy(d->theirs, right->rev, sizeof d->theirs);
}

static void merge(search *s, size_t lefts, size_t rights) {
  size_t l = 0, r = 0;

  while (l < lefts || r < rights) {
    int order = l == lefts    ? 1
                : r == rights ? -1
                              : strcmp(s->left[l].app, s->right[r].app);

    if (order < 0)
      add(s, &s->left[l++], NULL);
    else if (order > 0)
      add(s, NULL, &s->right[r++]);
    else if (strcmp(s->left[l].rev, s->right[r].rev) != 0)
      add(s, &s->left[l++], &s->right[r++]);
    else
      l++, r++;
  }
}

static bool list(search *s, const char *from, const char *until) {
  int lefts = peers_ask_routes(s->mine, from, until, s->left, LIST_MOST,
                               s->error, s->size);
  int rights = lefts < 0 ? -1
                         : peers_ask_routes(s->theirs, from, until, s->right,
                                            LIST_MOST, s->error, s->size);

  if (rights < 0)
    return false;
  merge(s, (size_t)lefts, (size_t)rights);
  return true;
}

/* The names that begin with prefix, or all; *same: nothing differs there. */
static bool look(search *s, const char *from, const char *until, bool *same,
                 bool *small) {
  peer_digest mine, theirs;

  /* They change faster than they are read. */
  if (++s->asks > ASKS_MOST || now_s() > s->end) {
    s->more = true;
    *same = true;
    return true;
  }
  if (!peers_ask_digest(s->mine, from, until, &mine, s->error, s->size) ||
      !peers_ask_digest(s->theirs, from, until, &theirs, s->error, s->size))
    return false;
  *same = strcmp(mine.digest, theirs.digest) == 0;
  *small = mine.routes < LIST_MOST && theirs.routes < LIST_MOST;
  return true;
}

static bool descend(search *s, const char *prefix, const char *until);

/* The parts of a range that is too large for a list. */
static bool split(search *s, const char *prefix, const char *until) {
  size_t len = strlen(prefix);
  char from[DEPTH_MOST + 2], to[DEPTH_MOST + 2];
  const char *c;

  if (len >= DEPTH_MOST)
    return list(s, prefix, until);
  (void)snprintf(to, sizeof to, "%s-", prefix);
  if (len != 0 && !list(s, prefix, to)) /* the name that is the prefix */
    return false;
  for (c = letters; c[1] != '\0' && !s->more; c++) {
    (void)snprintf(from, sizeof from, "%s%c", prefix, c[0]);
    (void)snprintf(to, sizeof to, "%s%c", prefix, c[1]);
    if (!descend(s, from, to))
      return false;
  }
  return true;
}

static bool descend(search *s, const char *prefix, const char *until) {
  bool same = false, small = false;

  if (!look(s, prefix, until, &same, &small))
    return false;
  if (same)
    return true;
  return small ? list(s, prefix, until) : split(s, prefix, until);
}

static rest *open_rest(const char *url, char *error, size_t size) {
  rest_config config;

  memset(&config, 0, sizeof config);
  config.url = url;
  config.connect_ms = 1000;
  return rest_new(&config, error, size);
}

int peers_diff(const char *mine, const char *theirs, peer_difference *out,
               size_t most, bool *more, char *error, size_t size) {
  search s = {.out = out, .most = most, .error = error, .size = size};
  bool ok = false;

  s.end = now_s() + SECONDS_MOST;
  s.mine = open_rest(mine, error, size);
  s.theirs = s.mine != NULL ? open_rest(theirs, error, size) : NULL;
  s.left = malloc(LIST_MOST * sizeof *s.left);
  s.right = malloc(LIST_MOST * sizeof *s.right);
  if (s.left == NULL || s.right == NULL)
    (void)snprintf(error, size, "there is no memory");
  else if (s.theirs != NULL)
    ok = descend(&s, "", "{");
  *more = s.more;
  free(s.left);
  free(s.right);
  rest_free(s.mine);
  rest_free(s.theirs);
  return ok ? (int)s.count : -1;
}
