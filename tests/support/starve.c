/* Following with memory that fails: see starve.h. */
#define _GNU_SOURCE
#include "starve.h"

#include <check.h>
#include <curl/curl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "changefeed/changefeed.h"
#include "checkpoint.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

enum { FIRST_ROWS = 3, LATER_ROWS = 2, JUMP_MS = 1000, MAX_ROUNDS = 4000 };

#define PASSWORD "s3cr3t pass+word"

/* One history of the database: what its rows are called. Number i + 1 is the
   i-th. */
typedef struct history {
  char *seq[CFT_STARVE_ROWS], *id[CFT_STARVE_ROWS];
  size_t rows;
} history;

static struct {
  const cft_starve *s;
  char *members; /* of each document; or NULL */
  cft_mini *mini;
  cft_peer *front;
  int refusing;
  char url[256], dir[64], path[96], socket[96];
  cft_failing *memory;
  size_t fail_at, fails, bursts, gap; /* for messages */

  changefeed_loop *loop;
  changefeed *feed;
  history histories[2];
  size_t begun; /* histories */
  size_t now;   /* the one that the feed was told of */
  bool happened;
  char *record; /* of the application's store */
  size_t record_len;
  char stale[256]; /* the position of a history that is gone */

  uint64_t taken; /* rows in all, of this feed */
  uint64_t ordinal[CFT_STARVE_ROWS];
  bool acked[CFT_STARVE_ROWS];
  size_t last; /* number of the last row */
  size_t resets, faults;
  bool over;
} r;

static void complain(int line, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void complain(int line, const char *format, ...) {
  char text[512];
  va_list args;

  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  ck_abort_msg("%s: %zu call(s) from %zu on fail, %zu time(s), %zu between "
               "(%zu did): %s (starve.c:%d)",
               r.s->name, r.fails, r.fail_at, r.bursts, r.gap,
               r.memory->refused, text, line);
}

#define HOLDS(ok, ...)                                                         \
  do {                                                                         \
    if (!(ok))                                                                 \
      complain(__LINE__, __VA_ARGS__);                                         \
  } while (0)

/* ---- the library's clock ---- */

static int64_t jumped_ms;

int64_t __real_cfi_clock_now(const cfi_clock *clock);
int64_t __wrap_cfi_clock_now(const cfi_clock *clock);

int64_t __wrap_cfi_clock_now(const cfi_clock *clock) {
  return __real_cfi_clock_now(clock) +
         (clock == &cfi_clock_system ? jumped_ms : 0);
}

/* ---- the server ---- */

static void redirect(cft_conn *conn, void *user) {
  const cft_request *req;
  char headers[1024];

  while (cft_conn_read_request(conn, &req)) {
    (void)snprintf(headers, sizeof headers, "Location: %s%s\r\n",
                   (const char *)user, req->target);
    if (!cft_conn_respond(conn, 307, headers, "moved\n"))
      return;
  }
}

/* An id whose JSON text is full of escapes, so that it has to be decoded. */
static char *make_id(size_t number) {
  char *id = cft_calloc(1, r.s->long_ids + 32);

  memset(id, '"', r.s->long_ids);
  (void)snprintf(id + r.s->long_ids, 32, "d%zu", number);
  return id;
}

/* What a string says; anything else as it is. */
static char *decoded(const char *json) {
  json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
  char *text =
      cft_strdup(json_is_string(value) ? json_string_value(value) : json);

  json_decref(value);
  return text;
}

static void make_members(void) {
  if (r.s->large == 0) {
    r.members = cft_strdup(r.s->members);
    return;
  }
  r.members = cft_calloc(1, r.s->large + 8);
  memcpy(r.members, "\"a\":\"", 5);
  memset(r.members + 5, 'x', r.s->large);
  r.members[5 + r.s->large] = '"';
}

static void put_rows(size_t count) {
  history *h = &r.histories[r.begun - 1];

  for (size_t i = 0; i < count; i++) {
    size_t at = h->rows++;
    char text[256];

    HOLDS(at < CFT_STARVE_ROWS, "too many rows");
    h->id[at] = make_id(r.begun * 100 + at);
    if (r.s->updates)
      cft_mini_db_event(r.mini, h->id[at], "updated");
    else
      (void)cft_mini_put_doc(r.mini, h->id[at], "1-a", false, r.members);
    if (r.s->updates)
      continue;
    cft_mini_seq(r.mini, at + 1, text, sizeof text);
    h->seq[at] = decoded(text);
  }
}

static void make_url(void) {
  const char *base = cft_peer_url(cft_mini_peer(r.mini));
  const char *path = r.s->updates ? "_db_updates" : "db";
  uint16_t port;

  r.refusing = -1;
  if (r.s->redirected) {
    r.front = cft_peer_start(NULL, redirect, (void *)(uintptr_t)base);
    base = cft_peer_url(r.front);
  }
  (void)snprintf(r.url, sizeof r.url, "%s/%s", base, path);
  if (r.s->refused) {
    r.refusing = cft_port_refusing(&port);
    HOLDS(r.refusing >= 0, "no port");
    (void)snprintf(r.url, sizeof r.url, "http://127.0.0.1:%u/%s",
                   (unsigned)port, path);
  }
}

static void begin_server(void) {
  cft_mini_config config;
  char where[128];

  (void)snprintf(r.dir, sizeof r.dir, "/tmp/cft-starve-XXXXXX");
  HOLDS(mkdtemp(r.dir) != NULL, "no directory");
  (void)snprintf(r.path, sizeof r.path, "%s/position", r.dir);
  (void)snprintf(r.socket, sizeof r.socket, "%s/socket", r.dir);
  (void)snprintf(where, sizeof where, "unix:%s", r.socket);
  r.mini = cft_mini_start(r.s->unix_socket ? where : NULL);
  config = cft_mini_get_config(r.mini);
  if (r.s->user != NULL) {
    (void)snprintf(config.user, sizeof config.user, "%s", r.s->user);
    (void)snprintf(config.password, sizeof config.password, PASSWORD);
  }
  if (r.s->bearer != NULL) {
    (void)snprintf(config.user, sizeof config.user, "somebody");
    (void)snprintf(config.bearer, sizeof config.bearer, "%s", r.s->bearer);
  }
  cft_mini_set_config(r.mini, &config);
  if (r.s->serve != NULL)
    r.s->serve(r.mini);
  make_url();
  make_members();
  r.begun = 1;
  put_rows(FIRST_ROWS);
}

static void end_server(void) {
  static const char *const ends[] = {"", ".prev", ".lock", ".tmp"};

  cft_peer_free(r.front);
  cft_mini_free(r.mini);
  if (r.refusing >= 0)
    (void)close(r.refusing);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    char name[128];

    (void)snprintf(name, sizeof name, "%s%s", r.path, ends[i]);
    (void)unlink(name);
  }
  (void)unlink(r.socket);
  (void)rmdir(r.dir);
  for (size_t k = 0; k < 2; k++)
    for (size_t i = 0; i < r.histories[k].rows; i++) {
      free(r.histories[k].seq[i]);
      free(r.histories[k].id[i]);
    }
  free(r.record);
  free(r.members);
}

/* The rows of the old history are gone, there are others now. */
static void recreate(void) {
  cft_mini_delete_db(r.mini);
  cft_mini_create_db(r.mini);
  r.begun++;
  put_rows(FIRST_ROWS + 1);
}

/* ---- what was saved ---- */

static size_t number_of(const history *h, const char *seq) {
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
  number =
      strcmp(c.seq, r.stale) == 0 ? 0 : number_of(&r.histories[r.now], c.seq);
  HOLDS(number != 0 || strcmp(c.seq, r.stale) == 0,
        "a position that is none was saved: %s", c.seq);
  cfi_checkpoint_free(&heap, &c);
  for (size_t i = 0; i < number; i++)
    HOLDS(r.acked[i],
          "the position saved is behind row %zu, row %zu is not acknowledged",
          number, i + 1);
  return number;
}

static size_t check_saved(void) {
  size_t number = 0, len;
  char *data;

  if (r.s->store == CFT_STORE_FILE) {
    if (access(r.path, F_OK) != 0)
      return 0;
    data = cft_read_file(r.path, &len);
    HOLDS(data != NULL, "the file cannot be read");
    number = check_record(data, len);
    free(data);
  } else if (r.record != NULL) {
    number = check_record(r.record, r.record_len);
  }
  return number;
}

static int store_load(void *ctx, const char *key,
                      int (*put)(void *sink, const char *data, size_t len),
                      void *sink) {
  (void)ctx;
  (void)key;
  return r.record != NULL ? put(sink, r.record, r.record_len) : 0;
}

static int store_save(void *ctx, const char *key, const char *data,
                      size_t len) {
  (void)ctx;
  (void)key;
  free(r.record);
  r.record = cft_memdup(data, len);
  r.record_len = len;
  (void)check_saved();
  return 0;
}

/* ---- callbacks ---- */

/* Rows come in the order in which the server has them, each once. */
static void take(const changefeed_change *change) {
  const history *h = &r.histories[r.now];
  size_t at = r.last;

  HOLDS(at < h->rows && strcmp(change->id.data, h->id[at]) == 0,
        "row %zu is due, \"%.40s\" (%.40s) came", at + 1,
        change->id.data + (change->id.len > 40 ? change->id.len - 8 : 0),
        change->seq.data != NULL ? change->seq.data : "no seq");
  HOLDS(h->seq[at] == NULL || strcmp(change->seq.data, h->seq[at]) == 0,
        "row %zu has the seq %s", at + 1, change->seq.data);
  HOLDS(change->ordinal == r.taken + 1, "ordinal %llu after %llu",
        (unsigned long long)change->ordinal, (unsigned long long)r.taken);
  HOLDS((change->flags & CHANGEFEED_REPEAT) == 0, "row %zu counts as a repeat",
        at + 1);
  if ((change->flags & CHANGEFEED_DOC) != 0 && r.members != NULL)
    HOLDS(change->doc.len > strlen(r.members) &&
              change->doc.data[change->doc.len - 1] == '}' &&
              memmem(change->doc.data, change->doc.len, r.members,
                     strlen(r.members)) != NULL,
          "row %zu has another document", at + 1);
  r.taken++;
  r.last++;
  r.ordinal[at] = change->ordinal;
  r.acked[at] = !r.s->late && !r.s->pull;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  (void)user;
  take(change);
  return CHANGEFEED_CONTINUE;
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  (void)feed;
  (void)user;
  for (size_t i = 0; i < count; i++)
    take(changes[i]);
  return CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  (void)feed;
  (void)user;
  if (event->state == CHANGEFEED_STATE_WAITING) {
    r.faults++;
    HOLDS(event->error->code == CHANGEFEED_ERR_NOMEM ||
              event->error->code == CHANGEFEED_ERR_NETWORK,
          "a fault that is none: %s: %s",
          changefeed_strerror(event->error->code), event->error->message);
  }
  HOLDS(event->state != CHANGEFEED_STATE_FAILED, "the feed failed: %s",
        event->error->message);
  r.over = event->state == CHANGEFEED_STATE_ENDED;
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  (void)feed;
  (void)user;
  HOLDS(r.now + 1 < r.begun, "a reset without cause: %s", reason);
  r.now++;
  r.resets++;
  r.last = 0;
  memset(r.acked, 0, sizeof r.acked);
  memset(r.ordinal, 0, sizeof r.ordinal);
  return CHANGEFEED_CONTINUE;
}

/* A second call right after one that failed works, unless that fails, too. */
static int on_request(changefeed *feed, void *user) {
  char value[128];
  size_t tries = 0, refused = r.memory->refused;
  int rc;

  (void)user;
  (void)snprintf(value, sizeof value, "Bearer %s", r.s->bearer);
  while ((rc = changefeed_set_authorization(feed, value)) != CHANGEFEED_OK) {
    tries++;
    HOLDS(rc == CHANGEFEED_ERR_NOMEM && tries <= r.memory->refused - refused,
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
  HOLDS(r.memory->refused > refused, "%s: there was memory", what);
  return true;
}

static void make_loop(const changefeed_allocator *allocator) {
  static int mark;
  changefeed_loop *untouched = (changefeed_loop *)(void *)&mark;
  size_t refused, live;
  int rc;

  do {
    r.loop = untouched;
    refused = r.memory->refused;
    live = r.memory->live;
    rc = changefeed_loop_new(&r.loop, allocator);
    HOLDS(rc == CHANGEFEED_OK || r.memory->live == live,
          "changefeed_loop_new leaves %zu blocks", r.memory->live - live);
  } while (
      failed_well(rc, r.loop == untouched, refused, "changefeed_loop_new"));
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
  set(o, "url", r.url);
  set(o, "proxy", "-");
  set(o, "retry_min_ms", "10");
  set(o, "retry_max_ms", "100");
  /* Each jump of the clock counts as silence. */
  set(o, "header_timeout_ms", "3600000");
  set(o, "idle_timeout_ms", "86400000");
  set(o, "connection_max_age_ms", "0");
  if (r.s->event == CFT_EVENT_NONE)
    set(o, "mode", "once");
  if (r.s->late)
    set(o, "auto_ack", "0");
  if (r.s->user != NULL) {
    set(o, "username", r.s->user);
    set(o, "password", PASSWORD);
  }
  if (r.s->refused)
    set(o, "endpoint", cft_peer_url(cft_mini_peer(r.mini)));
  if (r.s->redirected)
    set(o, "follow_redirects", "1");
  if (r.s->unix_socket)
    set(o, "unix_socket", r.socket);
  if (r.s->store == CFT_STORE_FILE) {
    (void)snprintf(text, sizeof text, "file:%s", r.path);
    set(o, "checkpoint", text);
  }
  for (size_t i = 0; r.s->options != NULL && r.s->options[i] != NULL; i += 2)
    set(o, r.s->options[i], r.s->options[i + 1]);
  c.on_change = r.s->pull || r.s->batch ? NULL : on_change;
  c.on_batch = r.s->batch ? on_batch : NULL;
  c.on_state = on_state;
  c.on_reset = on_reset;
  c.on_request = r.s->bearer != NULL ? on_request : NULL;
  HOLDS(changefeed_options_set_callbacks(o, &c) == CHANGEFEED_OK, "callbacks");
  store.load = store_load;
  store.save = store_save;
  if (r.s->store >= CFT_STORE_APP)
    HOLDS(changefeed_options_set_store(o, &store) == CHANGEFEED_OK, "store");
  return o;
}

static void open_feed(void) {
  static int mark;
  changefeed *untouched = (changefeed *)(void *)&mark;
  changefeed_options *o = make_options();
  size_t refused;
  int rc;

  do {
    r.feed = untouched;
    refused = r.memory->refused;
    rc = changefeed_open(&r.feed, r.loop, o);
    HOLDS(rc == CHANGEFEED_OK || changefeed_options_error(o)[0] != '\0',
          "changefeed_open says nothing");
  } while (failed_well(rc, r.feed == untouched, refused, "changefeed_open"));
  changefeed_options_free(o);
}

/* ---- running ---- */

static void pull_rows(void) {
  const changefeed_change *change;
  int rc;

  if (r.last != 0) /* by the call */
    r.acked[r.last - 1] = true;
  rc = changefeed_next(r.feed, 1, &change);
  if (rc == CHANGEFEED_OK)
    take(change);
  else if (rc == CHANGEFEED_TIMEOUT)
    jumped_ms += JUMP_MS;
  else
    HOLDS(rc == CHANGEFEED_END && r.over, "changefeed_next: %s",
          changefeed_strerror(rc));
}

static void acknowledge(bool first, bool others) {
  for (size_t i = 0; r.s->late && i < r.last; i++)
    if (!r.acked[i] && (i == 0 ? first : others)) {
      r.acked[i] = true;
      HOLDS(changefeed_ack_one(r.feed, r.ordinal[i]) == CHANGEFEED_OK,
            "row %zu cannot be acknowledged", i + 1);
    }
}

static void round_of_loop(void) {
  int rc;

  if (r.s->pull) {
    pull_rows();
  } else {
    rc = changefeed_loop_run_once(r.loop, 1);
    HOLDS(rc >= 0, "changefeed_loop_run_once: %s", changefeed_strerror(rc));
    if (rc == CHANGEFEED_TIMEOUT)
      jumped_ms += JUMP_MS;
  }
  acknowledge(false, true);
  (void)check_saved();
}

static bool all_rows(void) {
  return r.now + 1 == r.begun && r.last == r.histories[r.now].rows;
}

static void until_all_rows(void) {
  for (int rounds = 0; !all_rows(); rounds++) {
    HOLDS(!r.over, "the feed has ended before row %zu", r.last + 1);
    HOLDS(rounds < MAX_ROUNDS, "no row %zu, after %zu faults: %s", r.last + 1,
          r.faults, changefeed_last_error(r.feed)->message);
    round_of_loop();
  }
}

static void until_over(void) {
  for (int rounds = 0; !r.over; rounds++) {
    HOLDS(rounds < MAX_ROUNDS, "the feed does not end");
    round_of_loop();
  }
}

/* The position is told, and saved when that is asked for; a call that failed
   changes nothing, and the next one works. */
static void check_position(void) {
  const char *want = r.histories[r.now].seq[r.last - 1];
  size_t refused = r.memory->refused;
  changefeed_str position;
  int rc;

  if (r.s->store != CFT_STORE_NONE) {
    while ((rc = changefeed_checkpoint(r.feed)) != CHANGEFEED_OK) {
      HOLDS(rc == CHANGEFEED_ERR_NOMEM && r.memory->refused > refused,
            "changefeed_checkpoint: %s",
            changefeed_last_error(r.feed)->message);
      refused = r.memory->refused;
    }
    HOLDS(check_saved() == r.last, "saved is row %zu of %zu", check_saved(),
          r.last);
  }
  while ((position = changefeed_position(r.feed)).data == NULL) {
    HOLDS(r.memory->refused > refused, "no position");
    refused = r.memory->refused;
  }
  HOLDS(want == NULL || strcmp(position.data, want) == 0,
        "the position is %s, not %s", position.data, want);
}

static void check_stats(void) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;

  HOLDS(changefeed_get_stats(r.feed, &stats) == CHANGEFEED_OK, "no stats");
  HOLDS(stats.changes == r.taken && stats.unacked == 0,
        "%llu rows of %llu, %llu not acknowledged",
        (unsigned long long)stats.changes, (unsigned long long)r.taken,
        (unsigned long long)stats.unacked);
  HOLDS(stats.resets == r.resets, "%llu resets, %zu told",
        (unsigned long long)stats.resets, r.resets);
  HOLDS(r.faults <= r.memory->refused + (r.s->refused ? 2 : 0) +
                        (r.s->event == CFT_EVENT_RECREATE ? 2 : 0),
        "%zu faults of %zu failures", r.faults, r.memory->refused);
}

/* Not while a request is on its way: whether the feed then sees that there is
   another history is another test's business. */
static void until_live(void) {
  for (int rounds = 0; cft_mini_waiting(r.mini) == 0; rounds++) {
    HOLDS(rounds < MAX_ROUNDS, "the feed does not get live");
    round_of_loop();
  }
}

static void follow(const changefeed_allocator *allocator) {
  make_loop(allocator);
  open_feed();
  until_all_rows();
  if (r.s->event != CFT_EVENT_NONE)
    until_live();
  if (r.s->event == CFT_EVENT_PUT)
    put_rows(LATER_ROWS);
  else if (r.s->event == CFT_EVENT_RECREATE)
    recreate();
  until_all_rows();
  acknowledge(true, true);
  if (r.s->event != CFT_EVENT_NONE) {
    if (r.s->pull)
      round_of_loop();
    HOLDS(changefeed_stop(r.feed) == CHANGEFEED_OK, "cannot be stopped");
  }
  until_over();
  check_position();
  check_stats();
  changefeed_loop_free(r.loop);
  (void)check_saved();
}

/* A healthy run before the database is made anew. */
static void leave_stale_position(void) {
  static cft_failing plenty;

  r.memory = &plenty;
  cft_failing_init(&plenty, 0);
  follow(NULL);
  (void)snprintf(r.stale, sizeof r.stale, "%s", r.histories[0].seq[r.last - 1]);
  recreate();
  r.taken = r.last = r.faults = 0;
  r.over = false;
  memset(r.acked, 0, sizeof r.acked);
}

static void begin(const cft_starve *s, cft_failing *memory) {
  memset(&r, 0, sizeof r);
  r.s = s;
  r.memory = memory;
  r.fail_at = memory->fail_at;
  r.fails = memory->fails;
  r.bursts = memory->bursts;
  r.gap = memory->gap;
  begin_server();
  if (s->store == CFT_STORE_STALE)
    leave_stale_position();
  r.memory = memory;
}

void cft_starve_loop(const cft_starve *s, cft_failing *memory) {
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;

  begin(s, memory);
  if (s->user != NULL)
    memory->secret = "s3cr3t";
  allocator.resize = memory->alloc.resize;
  allocator.release = memory->alloc.release;
  allocator.ctx = memory;
  follow(&allocator);
  end_server();
  HOLDS(memory->live == 0, "%zu blocks are left, %zu bytes", memory->live,
        memory->bytes);
  HOLDS(memory->exposed == 0, "%zu blocks were freed with the password in them",
        memory->exposed);
}

static size_t upto(cfi_random *random, size_t max) {
  return 1 + (size_t)cfi_random_upto(random, (int64_t)max - 1);
}

void cft_starve_each(const cft_starve *s) {
  cft_failing memory;
  size_t n = 0;

  do {
    cft_failing_init(&memory, ++n);
    cft_starve_loop(s, &memory);
  } while (memory.refused != 0);
  HOLDS(n > 30, "there were only %zu allocations", n - 1);
}

void cft_starve_seeds(const cft_starve *s, uint64_t seeds) {
  cft_failing memory;
  size_t calls;

  cft_failing_init(&memory, 0);
  cft_starve_loop(s, &memory);
  calls = memory.calls;
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    cfi_random random;

    cfi_random_init(&random, seed);
    cft_failing_init(&memory, upto(&random, calls));
    memory.fails = 1 + upto(&random, 11);
    memory.bursts = upto(&random, 4);
    memory.gap = upto(&random, 20);
    cft_starve_loop(s, &memory);
    HOLDS(memory.refused != 0, "memory has never failed");
  }
}

/* ---- libcurl's memory ---- */

static cft_failing *of_curl, idle;

static void *curl_malloc(size_t size) {
  return cft_failing_resize(of_curl, NULL, size);
}

static void *curl_calloc(size_t count, size_t size) {
  void *block;

  if (size != 0 && count > SIZE_MAX / size)
    return NULL;
  block = cft_failing_resize(of_curl, NULL, count * size);
  if (block != NULL)
    memset(block, 0, count * size);
  return block;
}

static void *curl_realloc(void *block, size_t size) {
  return cft_failing_resize(of_curl, block, size);
}

static void curl_free_block(void *block) {
  cft_failing_release(of_curl, block);
}

static char *curl_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = cft_failing_resize(of_curl, NULL, size);

  if (copy != NULL)
    memcpy(copy, text, size);
  return copy;
}

void cft_starve_curl_init(void) {
  cft_failing_init(&idle, 0);
  of_curl = &idle;
  ck_assert_int_eq(curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc,
                                        curl_free_block, curl_realloc,
                                        curl_strdup, curl_calloc),
                   CURLE_OK);
}

void cft_starve_curl(const cft_starve *s, cft_failing *memory) {
  begin(s, memory);
  of_curl = memory;
  follow(NULL);
  of_curl = &idle;
  end_server();
  HOLDS(memory->live == 0, "%zu blocks are left, %zu bytes", memory->live,
        memory->bytes);
}
