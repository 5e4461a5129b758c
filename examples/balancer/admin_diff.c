/* /diff: what differs from another balancer, asked in a thread of libuv's pool,
   because asking waits; and /audit. */
#include "balancer/admin_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIFFERENCES_MOST = 1000, URL_MOST = QUERY_VALUE_MOST + 16 };

typedef struct diff {
  uv_work_t work;
  admin *a;
  http_exchange *x; /* NULL: the client has gone */
  char mine[URL_MOST], theirs[URL_MOST];
  peer_difference found[DIFFERENCES_MOST];
  int count;
  bool more;
  char error[256];
} diff;

static void on_gone(http_exchange *x, void *ctx) {
  (void)x;
  ((diff *)ctx)->x = NULL;
}

static void compare(uv_work_t *work) {
  diff *d = work->data;

  d->count = peers_diff(d->mine, d->theirs, d->found, DIFFERENCES_MOST,
                        &d->more, d->error, sizeof d->error);
}

static void answer(diff *d) {
  text out = TEXT_INIT;

  json_open(&out, NULL, '{');
  json_text(&out, "peer", d->theirs);
  json_flag(&out, "same", d->count == 0 && !d->more);
  json_open(&out, "differences", '[');
  for (int i = 0; i < d->count; i++) {
    const peer_difference *one = &d->found[i];

    json_open(&out, NULL, '{');
    json_text(&out, "app", one->app);
    json_text(&out, "mine", one->mine[0] != '\0' ? one->mine : NULL);
    json_text(&out, "theirs", one->theirs[0] != '\0' ? one->theirs : NULL);
    json_shut(&out, '}');
  }
  json_shut(&out, ']');
  json_flag(&out, "more", d->more);
  json_shut(&out, '}');
  text_cut(&out, out.len - 1);
  text_str(&out, "\n");
  admin_answer_json(d->x, 200, &out);
  text_free(&out);
}

static void compared(uv_work_t *work, int status) {
  diff *d = work->data;

  d->a->diffs--;
  if (d->x != NULL) {
    http_exchange_on_gone(d->x, NULL, NULL);
    if (status != 0)
      admin_answer_error(d->x, 503, "it was not begun: %s",
                         uv_strerror(status));
    else if (d->count < 0)
      admin_answer_error(d->x, 502, "%s cannot be compared with: %s", d->theirs,
                         d->error);
    else
      answer(d);
  }
  if (d->a->closing)
    admin_closing(d->a);
  free(d);
}

/* By its URL, its ADDRESS:PORT or its id: one that is known, and no other, or
   anybody could let us ask anything. */
static bool find_peer(admin *a, const char *word, char url[URL_MOST]) {
  peer_status *all = calloc(PEERS_MOST, sizeof *all);
  size_t count, len;
  bool found;

  (void)snprintf(url, URL_MOST, "%s%s",
                 strstr(word, "://") != NULL ? "" : "http://", word);
  len = strlen(url);
  if (len != 0 && url[len - 1] == '/')
    url[len - 1] = '\0';
  found = peers_knows(a->peers, url);
  count = all != NULL && !found ? peers_get(a->peers, all, PEERS_MOST) : 0;
  for (size_t i = 0; i < count && !found; i++) {
    if (strcmp(all[i].id, word) != 0)
      continue;
    (void)snprintf(url, URL_MOST, "http://%s", all[i].admin);
    found = peers_knows(a->peers, url);
  }
  free(all);
  return found;
}

static void begin(admin_call *c, const char *theirs) {
  admin *a = c->a;
  diff *d = calloc(1, sizeof *d);

  if (d == NULL) {
    admin_answer_error(c->x, 503, "there is no memory for it");
    return;
  }
  d->work.data = d;
  d->a = a;
  d->x = c->x;
  (void)snprintf(d->mine, sizeof d->mine, "http://%s", admin_address(a));
  (void)snprintf(d->theirs, sizeof d->theirs, "%s", theirs);
  if (uv_queue_work(a->loop, &d->work, compare, compared) != 0) {
    admin_answer_error(c->x, 503, "no thread could be started for it");
    free(d);
    return;
  }
  a->diffs++;
  http_exchange_on_gone(c->x, on_gone, d);
}

void admin_diff(admin_call *c) {
  const char *peer = admin_query_get(&c->query, "peer");
  char url[URL_MOST];

  if (peer == NULL)
    admin_answer_error(c->x, 400, "peer=URL or peer=ID is missing");
  else if (c->a->peers == NULL || !find_peer(c->a, peer, url))
    admin_answer_error(c->x, 404,
                       "no balancer \"%s\" is known here; /status lists those "
                       "that are",
                       peer);
  else if (c->a->diffs >= ADMIN_DIFFS)
    admin_answer_error(c->x, 503, "%d comparisons run already", ADMIN_DIFFS);
  else
    begin(c, url);
}

void admin_audit(admin_call *c) {
  static const char started[] = "{\"started\":true}\n";
  text out = TEXT_INIT;

  if (!follow_audit(c->a->follow)) {
    admin_answer_error(c->x, 409,
                       "an audit runs already, or the database was not read "
                       "yet");
    return;
  }
  text_str(&out, started);
  admin_answer_json(c->x, 202, &out);
  text_free(&out);
}
