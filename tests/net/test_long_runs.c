/* Runs that are long: millions of rows, and a gibibyte for an application that
   is slower than the server. Nothing is kept of what was taken. The server here
   makes its rows as it sends them, so that the process holds little but the
   feed. Known failures 4, 22, 52, 73.
   ctest: LABEL long */
#include "support/follow.h"
#include "support/mem.h"
#include "support/meter.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <stddef.h>
#include <unistd.h>

enum {
  LONG_MS = 240000,
  DIGITS = 8,
  BLOCK = 64 * 1024, /* one chunk of rows, about */
  MIB = 1024 * 1024,
  QUEUE = 256 * 1024,
  SLACK = 512 * 1024, /* of the library, beside its queue */
  GROWTH = 8 * MIB    /* of the process, from one part of a run to the next */
};

static bool instrumented(void) {
  const char *value = getenv("CFT_INSTRUMENTED");
  return value && strcmp(value, "1") == 0;
}

/* ---- a server of any number of rows ---- */

/* Rows are numbered from 1; all are of one length, with their number in two
   places. */
typedef struct source {
  uint64_t rows;
  size_t filler; /* bytes of the document; 0: no document */
} source;

typedef struct row_text {
  char *data;
  size_t len, seq, id; /* where the numbers stand */
} row_text;

static row_text make_row(const source *s) {
  row_text t = {.data = cft_calloc(s->filler + 128, 1)};
  char *at = t.data;
  at += sprintf(at, "{\"seq\":\"");
  t.seq = (size_t)(at - t.data);
  at += sprintf(at, "%0*d-x\",\"id\":\"", DIGITS, 0);
  t.id = (size_t)(at - t.data);
  at += sprintf(at, "%0*d\",\"changes\":[{\"rev\":\"1-a\"}]", DIGITS, 0);
  if (s->filler) {
    at += sprintf(at, ",\"doc\":{\"t\":\"");
    memset(at, 'x', s->filler);
    at += s->filler;
    at += sprintf(at, "\"}");
  }
  at += sprintf(at, "},\n");
  t.len = (size_t)(at - t.data);
  return t;
}

static void put_number(char *at, uint64_t number) {
  for (int i = DIGITS; i-- > 0; number /= 10)
    at[i] = (char)('0' + number % 10);
}

/* Rows first ... first + count - 1 as one chunk. */
static bool send_block(cft_conn *conn, const row_text *t, char *block,
                       uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    char *row = block + i * t->len;
    memcpy(row, t->data, t->len);
    put_number(row + t->seq, first + i);
    put_number(row + t->id, first + i);
  }
  return cft_conn_chunk(conn, block, (size_t)count * t->len);
}

static void send_rows(cft_conn *conn, const source *s, uint64_t since) {
  row_text t = make_row(s);
  uint64_t most = t.len < BLOCK ? BLOCK / t.len : 1, n = since + 1;
  char *block = cft_calloc((size_t)most, t.len), tail[96];
  bool ok = cft_conn_chunked_head(conn, 200, NULL) &&
            cft_conn_chunk(conn, "{\"results\":[\n", 13);
  while (ok && n < s->rows) {
    uint64_t count = s->rows - n < most ? s->rows - n : most;
    ok = send_block(conn, &t, block, n, count);
    n += count;
  }
  t.len -= 2; /* no comma behind the last one */
  if (ok && n == s->rows)
    ok = send_block(conn, &t, block, n, 1);
  snprintf(tail, sizeof tail, "\n],\n\"last_seq\":\"%0*d-x\",\"pending\":0}\n",
           DIGITS, (int)s->rows);
  if (ok && cft_conn_chunk(conn, tail, strlen(tail)))
    (void)cft_conn_last_chunk(conn);
  free(block);
  free(t.data);
}

static void serve(cft_conn *conn, void *user) {
  const source *s = user;
  const cft_request *req;
  char since[64], info[128];
  snprintf(info, sizeof info,
           "{\"db_name\":\"db\",\"update_seq\":\"%0*d-x\","
           "\"instance_start_time\":\"7\"}",
           DIGITS, (int)s->rows);
  while (cft_conn_read_request(conn, &req))
    if (req->kind & CFT_ROOT)
      cft_conn_respond(conn, 200, NULL,
                       "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\"}");
    else if (req->kind & CFT_DB)
      cft_conn_respond(conn, 200, NULL, info);
    else if (req->kind & CFT_NORMAL &&
             cft_request_param(req, "since", since, sizeof since))
      send_rows(conn, s, strtoull(since, NULL, 10));
    else
      cft_conn_respond(conn, 404, NULL, "{}");
}

/* ---- memory ---- */

/* ---- an application ---- */

typedef struct application {
  uint64_t pause_every; /* rows; 0: it is never behind */
  uint64_t out_of_order;
  uint64_t first;   /* the row after which memory is looked at first */
  size_t rss_first; /* then */
  size_t rss_most;  /* later */
  uint64_t look_every;
} application;

/* A server that is ours fills our memory too, but no more than its block. */
static int take(cft_follow *f, const changefeed_change *change) {
  application *a = f->user;
  if (strtoull(change->id.data, NULL, 10) != change->ordinal)
    a->out_of_order++;
  if (a->pause_every && change->ordinal % a->pause_every == 0)
    (void)changefeed_pause(f->feed);
  if (change->ordinal % a->look_every == 0) {
    size_t rss = cft_rss_bytes(getpid());
    if (change->ordinal == a->first)
      a->rss_first = rss;
    else if (rss > a->rss_most)
      a->rss_most = rss;
  }
  return CHANGEFEED_CONTINUE;
}

static bool over_or_paused(void *user) {
  cft_follow *f = user;
  return cft_follow_is_over(f) ||
         changefeed_get_state(f->feed) == CHANGEFEED_STATE_PAUSED;
}

/* Reads all rows of the source; 20 looks at the memory. */
static void run(source *s, application *a) {
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;
  cft_follow f = {.on_row = take, .quiet = true, .user = a};
  changefeed_loop *loop;
  char url[128];
  cft_peer *peer = cft_peer_start(NULL, serve, s);
  allocator.resize = cft_meter_resize;
  allocator.release = cft_meter_release;
  cft_meter_held = cft_meter_most = 0;
  a->look_every = a->first = s->rows / 20;
  snprintf(url, sizeof url, "%s/db", cft_peer_url(peer));
  ck_assert_int_eq(changefeed_loop_new(&loop, &allocator), CHANGEFEED_OK);
  cft_follow_open(&f, loop, url, "mode", "once", "include_docs",
                  s->filler ? "1" : "0", "max_queue_bytes", "262144", NULL);
  for (int64_t end = cft_now_ms() + LONG_MS; !cft_follow_is_over(&f);) {
    ck_assert_msg(cft_loop_until(loop, over_or_paused, &f, end - cft_now_ms()),
                  "%d rows", (int)f.taken);
    if (!cft_follow_is_over(&f)) {
      cft_loop_for(loop, 10); /* the application is busy elsewhere */
      ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
    }
  }
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(f.taken, s->rows);
  ck_assert_uint_eq(a->out_of_order, 0);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_NORMAL), 1);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_peer_free(peer);
  ck_assert_uint_eq(cft_meter_held, 0);
}

static void expect_flat(const application *a) {
  ck_assert_msg(cft_meter_most <= QUEUE + SLACK, "the library held %zu KiB",
                cft_meter_most / 1024);
  ck_assert_uint_gt(a->rss_first, 0);
  if (!instrumented()) /* sanitizers keep what was freed */
    ck_assert_msg(a->rss_most <= a->rss_first + GROWTH,
                  "from %zu KiB to %zu KiB", a->rss_first / 1024,
                  a->rss_most / 1024);
}

/* Known failures 52 and 73: something small is kept of each row. Two bytes of
   each are more than the growth that is allowed. */
START_TEST(test_long_run_of_ten_million_rows_keeps_nothing_of_them) {
  source s = {.rows = instrumented() ? 400000 : 10000000};
  application a = {.pause_every = 0};
  run(&s, &a);
  expect_flat(&a);
}
END_TEST

/* Known failures 4 and 22: what the application does not take yet is kept, and
   the server goes on sending. It is 64 times behind here. */
START_TEST(test_long_run_of_a_gibibyte_waits_for_a_slow_application) {
  source s = {.rows = 65536, .filler = 16384};
  application a = {.pause_every = 1024};
  if (instrumented())
    s.rows /= 16;
  int64_t begin = cft_now_ms();
  run(&s, &a);
  expect_flat(&a);
  ck_assert_int_lt(cft_now_ms() - begin, LONG_MS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("long_runs");
  TCase *t = tcase_create("long");
  tcase_add_test(t, test_long_run_of_ten_million_rows_keeps_nothing_of_them);
  tcase_add_test(t, test_long_run_of_a_gibibyte_waits_for_a_slow_application);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
