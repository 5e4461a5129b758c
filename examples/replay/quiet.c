/* Somebody who starts an app of his own now and then, and waits for it: what
 * many others cost him. */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_MS = 30000 };

static bool is_live(replay *r, unsigned at, const json_t *answer) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  int64_t end = now_ms() + LIVE_MS;
  char path[160];
  bool live = false;
  if (!op)
    return false;
  (void)snprintf(path, sizeof path, "/ops/%.100s?wait=3", op);
  while (!live && now_ms() < end) {
    json_t *later = NULL;
    int status = api_call(r, at, "GET", path, NULL, &later);
    const char *state = json_string_value(json_object_get(later, "state"));
    live = status == 200 && state && strcmp(state, "live") == 0;
    json_decref(later);
  }
  return live;
}

/* From the wish until it is live; -1: it is not. The app is gone afterwards. */
static int64_t one_start(replay *r, const char *name, unsigned at) {
  char path[64];
  json_t *answer = NULL;
  int64_t took = -1;
  (void)snprintf(path, sizeof path, "/apps/%s", name);
  if (api_call(r, at, "POST", path, nonce_app(&r->v->k, name, name, NULL),
               NULL) /
          100 ==
      2) {
    int64_t began = now_ms();
    (void)snprintf(path, sizeof path, "/apps/%s/start", name);
    int status = api_call(r, at, "POST", path, json_object(), &answer);
    if (status / 100 == 2 && is_live(r, at, answer))
      took = now_ms() - began;
    json_decref(answer);
    (void)snprintf(path, sizeof path, "/apps/%s", name);
    (void)api_call(r, at, "DELETE", path, NULL, NULL);
  }
  return took;
}

void quiet_starts(replay *r, bool among, int64_t ms) {
  int64_t end = replay_now(r) + ms;
  for (unsigned i = 0; i < QUIET && replay_now(r) < end; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "quiet-%u", i + (among ? QUIET : 0));
    int64_t next = replay_now(r) + ms / QUIET;
    int64_t took = one_start(r, name, i);
    law_checked(r, L11_SPAM);
    if (took < 0)
      law_broken(r, L11_SPAM, "%s is not started at all", name);
    else
      r->quiet_ms[among][r->quiet_count[among]++] = took;
    until(r, next);
  }
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int64_t quiet_p95(const replay *r, bool among) {
  int64_t all[QUIET];
  unsigned n = r->quiet_count[among];
  if (n == 0)
    return -1;
  memcpy(all, r->quiet_ms[among], sizeof all);
  qsort(all, n, sizeof *all, compare);
  return all[(n * 95 - 1) / 100];
}
