/* I6: when nothing changes any more, every balancer holds what the database
 * has, by its own digest and by one computed here. */
#include "visit.h"

#include <changefeed/mirror.h>
#include <stdio.h>
#include <string.h>

enum { QUIET_MS = 2000, ASK_MS = 3000, LONGEST_MS = 60000 };

typedef struct sum {
  char text[DIGEST_SIZE];
  size_t count;
} sum;

_Static_assert((int)DIGEST_SIZE >= (int)CHANGEFEED_DIGEST_TEXT, "a text fits");

void digest_of_rows(const json_t *rows, char out[DIGEST_SIZE]) {
  changefeed_digest digest;
  const json_t *row;
  size_t i;
  memset(&digest, 0, sizeof digest);
  json_array_foreach(rows, i, row) {
    const char *id = json_string_value(json_object_get(row, "id"));
    const char *rev =
        json_string_value(json_object_get(json_object_get(row, "doc"), "_rev"));
    if (id && rev)
      (void)changefeed_digest_add(&digest, id, strlen(id), rev, strlen(rev));
  }
  (void)changefeed_digest_text(&digest, out);
}

static bool of_database(const visit *v, rest *couch, sum *out) {
  json_t *rows = couch_rows(couch, v->k.apps, "route");
  if (!rows)
    return false;
  out->count = json_array_size(rows);
  digest_of_rows(rows, out->text);
  json_decref(rows);
  return true;
}

static bool of_balancer(const balancer *b, sum *out) {
  json_t *all = balancer_get(b, "/digest", ASK_MS);
  const char *digest = json_string_value(json_object_get(all, "digest"));
  (void)snprintf(out->text, sizeof out->text, "%s", digest ? digest : "none");
  out->count = (size_t)json_integer_value(json_object_get(all, "routes"));
  json_decref(all);
  return digest != NULL;
}

/* 1: all are equal; 0: not; -1: the database changed meanwhile, or is away. */
static int look(visit *v, rest *couch, char *why, size_t size) {
  sum before, after, theirs[BALANCERS];
  int same = 1;
  if (!of_database(v, couch, &before))
    return -1;
  for (unsigned i = 0; i < BALANCERS; i++)
    (void)of_balancer(&v->balancers[i], &theirs[i]);
  if (!of_database(v, couch, &after) || strcmp(before.text, after.text) != 0)
    return -1;
  for (unsigned i = 0; i < BALANCERS; i++)
    if (strcmp(theirs[i].text, before.text) != 0 ||
        theirs[i].count != before.count) {
      (void)snprintf(why, size, "%s holds %zu routes, %s; the database %zu, %s",
                     v->balancers[i].id, theirs[i].count, theirs[i].text,
                     before.count, before.text);
      same = 0;
    }
  return same;
}

static int64_t changed_ms(visit *v) {
  (void)pthread_mutex_lock(&v->lock);
  int64_t ms = v->changed_ms;
  (void)pthread_mutex_unlock(&v->lock);
  return ms;
}

/* Equal before it has to be is equal; what is not is looked at until then. */
void digests_judge(visit *v, const char *when) {
  rest *couch = couch_looker(&v->k);
  int64_t give_up = now_ms() + LONGEST_MS;
  char why[400] = "the database is never quiet";
  int same = -1;
  while (now_ms() < give_up) {
    bool is_due = now_ms() >= changed_ms(v) + QUIET_MS;
    same = look(v, couch, why, sizeof why);
    if (same == 1 || (same == 0 && is_due))
      break;
    sleep_ms(50);
  }
  v->checks[V6_SAME]++;
  if (same != 1)
    wrong(v, V6_SAME, "%s: %s", when, why);
  rest_free(couch);
}
