/* The feed of a run as it is opened, what it tells, and what it saves. See
   starve_int.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "checkpoint.h"
#include "mem.h"
#include "starve_int.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

static cft_starving *const r = &cft_starving_now;

/* ---- what was saved ---- */

static size_t number_of(const cft_starve_history *h, const char *seq) {
  for (size_t i = 0; i < h->rows; i++)
    if (h->seq[i] != NULL && strcmp(h->seq[i], seq) == 0)
      return i + 1;
  return 0;
}

/* 0: nothing is stored, or a position of the history that is gone. */
static size_t check_record(const char *data, size_t len) {
  cfi_checkpoint c;
  cfi_error error;
  cfi_alloc heap;
  size_t number;

  (void)cfi_alloc_init(&heap, NULL);
  HOLDS(cfi_checkpoint_decode(&heap, data, len, &c, &error) == CHANGEFEED_OK,
        "what was saved cannot be read: %s", error.text);
  HOLDS(c.seq != NULL, "a record without a position was saved");
  number = strcmp(c.seq, r->stale) == 0
               ? 0
               : number_of(&r->histories[r->now], c.seq);
  HOLDS(number != 0 || strcmp(c.seq, r->stale) == 0,
        "a position that is none was saved: %s", c.seq);
  cfi_checkpoint_free(&heap, &c);
  for (size_t i = 0; i < number; i++)
    HOLDS(r->acked[i],
          "the position saved is behind row %zu, row %zu is not acknowledged",
          number, i + 1);
  return number;
}

size_t cft_starve_saved(void) {
  size_t number = 0, len;
  char *data;

  if (r->s->store == CFT_STORE_FILE) {
    if (access(r->path, F_OK) != 0)
      return 0;
    data = cft_read_file(r->path, &len);
    HOLDS(data != NULL, "the file cannot be read");
    number = check_record(data, len);
    free(data);
  } else if (r->record != NULL) {
    number = check_record(r->record, r->record_len);
  }
  return number;
}

static int store_load(void *ctx, const char *key,
                      int (*put)(void *sink, const char *data, size_t len),
                      void *sink) {
  (void)ctx;
  (void)key;
  return r->record != NULL ? put(sink, r->record, r->record_len) : 0;
}

static int store_save(void *ctx, const char *key, const char *data,
                      size_t len) {
  (void)ctx;
  (void)key;
  free(r->record);
  r->record = cft_memdup(data, len);
  r->record_len = len;
  (void)cft_starve_saved();
  return 0;
}

/* ---- callbacks ---- */

/* Rows come in the order in which the server has them, each once. */
void cft_starve_take(const changefeed_change *change) {
  const cft_starve_history *h = &r->histories[r->now];
  size_t at = r->last;

  HOLDS(at < h->rows && strcmp(change->id.data, h->id[at]) == 0,
        "row %zu is due, \"%.40s\" (%.40s) came", at + 1,
        change->id.data + (change->id.len > 40 ? change->id.len - 8 : 0),
        change->seq.data != NULL ? change->seq.data : "no seq");
  HOLDS(h->seq[at] == NULL || strcmp(change->seq.data, h->seq[at]) == 0,
        "row %zu has the seq %s", at + 1, change->seq.data);
  HOLDS(change->ordinal == r->taken + 1, "ordinal %llu after %llu",
        (unsigned long long)change->ordinal, (unsigned long long)r->taken);
  HOLDS((change->flags & CHANGEFEED_REPEAT) == 0, "row %zu counts as a repeat",
        at + 1);
  if ((change->flags & CHANGEFEED_DOC) != 0 && r->members != NULL)
    HOLDS(change->doc.len > strlen(r->members) &&
              change->doc.data[change->doc.len - 1] == '}' &&
              memmem(change->doc.data, change->doc.len, r->members,
                     strlen(r->members)) != NULL,
          "row %zu has another document", at + 1);
  r->taken++;
  r->last++;
  r->ordinal[at] = change->ordinal;
  r->acked[at] = !r->s->late && !r->s->pull;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  (void)user;
  cft_starve_take(change);
  return CHANGEFEED_CONTINUE;
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  (void)feed;
  (void)user;
  for (size_t i = 0; i < count; i++)
    cft_starve_take(changes[i]);
  return CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  (void)feed;
  (void)user;
  if (event->state == CHANGEFEED_STATE_WAITING) {
    r->faults++;
    HOLDS(event->error->code == CHANGEFEED_ERR_NOMEM ||
              event->error->code == CHANGEFEED_ERR_NETWORK ||
              (r->s->event == CFT_EVENT_RECREATE && /* gone for a moment */
               event->error->code == CHANGEFEED_ERR_NOTFOUND),
          "a fault that is none: %s: %s",
          changefeed_strerror(event->error->code), event->error->message);
  }
  HOLDS(event->state != CHANGEFEED_STATE_FAILED, "the feed failed: %s",
        event->error->message);
  r->over = event->state == CHANGEFEED_STATE_ENDED;
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  (void)feed;
  (void)user;
  HOLDS(r->now + 1 < r->begun, "a reset without cause: %s", reason);
  r->now++;
  r->resets++;
  r->last = 0;
  memset(r->acked, 0, sizeof r->acked);
  memset(r->ordinal, 0, sizeof r->ordinal);
  return CHANGEFEED_CONTINUE;
}

/* A second call right after one that failed works, unless that fails, too. */
static int on_request(changefeed *feed, void *user) {
  char value[128];
  size_t tries = 0, refused = r->memory->refused;
  int rc;

  (void)user;
  (void)snprintf(value, sizeof value, "Bearer %s", r->s->bearer);
  while ((rc = changefeed_set_authorization(feed, value)) != CHANGEFEED_OK) {
    tries++;
    HOLDS(rc == CHANGEFEED_ERR_NOMEM && tries <= r->memory->refused - refused,
          "changefeed_set_authorization: %s", changefeed_strerror(rc));
  }
  return 0;
}

/* ---- opening ---- */

/* A constructor that failed has changed nothing, not even its result. */
static bool failed_well(int rc, bool untouched, size_t refused,
                        const char *what) {
  if (rc == CHANGEFEED_OK)
    return false;
  HOLDS(rc == CHANGEFEED_ERR_NOMEM, "%s: %s", what, changefeed_strerror(rc));
  HOLDS(untouched, "%s failed and has set its result", what);
  HOLDS(r->memory->refused > refused, "%s: there was memory", what);
  return true;
}

void cft_starve_make_loop(const changefeed_allocator *allocator) {
  static int mark;
  changefeed_loop *untouched = (changefeed_loop *)(void *)&mark;
  size_t refused, live;
  int rc;

  do {
    r->loop = untouched;
    refused = r->memory->refused;
    live = r->memory->live;
    rc = changefeed_loop_new(&r->loop, allocator);
    HOLDS(rc == CHANGEFEED_OK || r->memory->live == live,
          "changefeed_loop_new leaves %zu blocks", r->memory->live - live);
  } while (
      failed_well(rc, r->loop == untouched, refused, "changefeed_loop_new"));
}

static void set(changefeed_options *o, const char *name, const char *value) {
  int rc = changefeed_options_set(o, name, value);

  if (rc == CHANGEFEED_ERR_OPTION)
    rc = changefeed_options_add(o, name, value);
  HOLDS(rc == CHANGEFEED_OK, "%s: %s", name, changefeed_options_error(o));
}

static changefeed_options *make_options(void) {
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  changefeed_store store = CHANGEFEED_STORE_INIT;
  changefeed_options *o;
  char text[128];

  HOLDS(changefeed_options_new(&o) == CHANGEFEED_OK, "no options");
  set(o, "url", r->url);
  set(o, "proxy", "-");
  set(o, "retry_min_ms", "10");
  set(o, "retry_max_ms", "100");
  /* Each jump of the clock counts as silence. */
  set(o, "header_timeout_ms", "3600000");
  set(o, "idle_timeout_ms", "86400000");
  set(o, "connection_max_age_ms", "0");
  if (r->s->event == CFT_EVENT_NONE)
    set(o, "mode", "once");
  set(o, "seq_interval", "1"); /* each row is told by its seq */
  if (r->s->late)
    set(o, "auto_ack", "0");
  if (r->s->user != NULL) {
    set(o, "username", r->s->user);
    set(o, "password", CFT_STARVE_PASSWORD);
  }
  if (r->s->refused)
    set(o, "endpoint", cft_peer_url(cft_mini_peer(r->mini)));
  if (r->s->redirected)
    set(o, "follow_redirects", "1");
  if (r->s->unix_socket)
    set(o, "unix_socket", r->socket);
  if (r->s->store == CFT_STORE_FILE) {
    (void)snprintf(text, sizeof text, "file:%s", r->path);
    set(o, "checkpoint", text);
  }
  for (size_t i = 0; r->s->options != NULL && r->s->options[i] != NULL; i += 2)
    set(o, r->s->options[i], r->s->options[i + 1]);
  c.on_change = r->s->pull || r->s->batch ? NULL : on_change;
  c.on_batch = r->s->batch ? on_batch : NULL;
  c.on_state = on_state;
  c.on_reset = on_reset;
  c.on_request = r->s->bearer != NULL ? on_request : NULL;
  HOLDS(changefeed_options_set_callbacks(o, &c) == CHANGEFEED_OK, "callbacks");
  store.load = store_load;
  store.save = store_save;
  if (r->s->store >= CFT_STORE_APP)
    HOLDS(changefeed_options_set_store(o, &store) == CHANGEFEED_OK, "store");
  return o;
}

void cft_starve_open(void) {
  static int mark;
  changefeed *untouched = (changefeed *)(void *)&mark;
  changefeed_options *o = make_options();
  size_t refused;
  int rc;

  do {
    r->feed = untouched;
    refused = r->memory->refused;
    rc = changefeed_open(&r->feed, r->loop, o);
    HOLDS(rc == CHANGEFEED_OK || changefeed_options_error(o)[0] != '\0',
          "changefeed_open says nothing");
  } while (failed_well(rc, r->feed == untouched, refused, "changefeed_open"));
  changefeed_options_free(o);
}
