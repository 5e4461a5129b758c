/* What a run begins with, and what users ask for in its course: a pool that is
 * free, apps that are there. */
#include "world.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void nonce_of(const run *r, unsigned app, char out[64]) {
  (void)snprintf(out, 64, "n%llu-%u", (unsigned long long)r->seed, app);
}

json_t *nonce_app(const run *r, const char *name, const char *nonce,
                  const char *command) {
  char host[80];
  (void)snprintf(host, sizeof host, "%s.test", name);
  return json_pack("{s:[s],s:s,s:{s:s,s:s,s:s}}", "hosts", host, "command",
                   command ? command : r->o->nonce, "env", "NONCE_APP", name,
                   "NONCE", nonce, "NONCE_LOG", r->nonce_log);
}

bool create_apps(run *r) {
  rest *to = rest_to(r->provs[0].url, token_text());
  bool ok = true;
  for (unsigned i = 0; i < r->o->apps && ok; i++) {
    char path[64], app[32], nonce[64];
    int status = 0;
    (void)snprintf(app, sizeof app, "app-%u", i);
    (void)snprintf(path, sizeof path, "/apps/%s", app);
    nonce_of(r, i, nonce);
    json_t *answer = NULL;
    for (int64_t end = now_ms() + 20000; now_ms() < end; sleep_ms(100)) {
      json_decref(answer);
      answer = NULL;
      status =
          ask(to, "POST", path, nonce_app(r, app, nonce, NULL), 10000, &answer);
      if (status / 100 == 2)
        break;
    }
    ok = status / 100 == 2;
    if (!ok)
      (void)fprintf(stderr, "%s was not created: %d %s\n", app, status,
                    json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
  }
  rest_free(to);
  return ok;
}

bool wait_pool(run *r) {
  rest *couch = couch_looker(r);
  int64_t end = now_ms() + 30000;
  unsigned count = 0;
  while (count < r->entered && now_ms() < end) {
    json_t *all = couch_rows(couch, r->locks, "drone");
    size_t i;
    json_t *row;
    count = 0;
    json_array_foreach(all, i, row) {
      const char *state = json_string_value(
          json_object_get(json_object_get(row, "doc"), "state"));
      count += state && strcmp(state, "free") == 0;
    }
    json_decref(all);
    sleep_ms(50);
  }
  rest_free(couch);
  if (count < r->entered)
    (void)fprintf(stderr, "only %u of %u drones became free\n", count,
                  r->entered);
  return count >= r->entered;
}

bool post_wish(run *r, unsigned app, const char *what) {
  int64_t end = now_ms() + 20000;
  int status = 0;
  char path[64];
  (void)snprintf(path, sizeof path, "/apps/app-%u/%s", app, what);
  for (unsigned k = app; status / 100 != 2 && now_ms() < end; k++) {
    rest *to = rest_to(r->provs[k % r->o->provs].url, token_text());
    status = ask(to, "POST", path, json_object(), 8000, NULL);
    rest_free(to);
    if (status / 100 != 2)
      sleep_ms(100);
  }
  return status / 100 == 2;
}

static int remove_one(const char *path, const struct stat *what, int type,
                      struct FTW *where) {
  (void)what;
  (void)type;
  (void)where;
  (void)remove(path); /* what stays makes its directory stay */
  return 0;
}

void remove_all(const char *dir) {
  enum { OPEN_AT_ONCE = 16 };
  if (nftw(dir, remove_one, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS) != 0 ||
      access(dir, F_OK) == 0)
    (void)fprintf(stderr, "%s stays\n", dir);
}
