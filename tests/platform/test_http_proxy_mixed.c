/* Many clients at once, whose requests meet every kind of answer and fault on
   connections that they share: each gets the answer to its own question, whole
   or cut, never another's. What happens to a request is written in its path, so
   that both sides know.
   ctest: LABEL threads */
#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CLIENTS = 8, REQUESTS = 250, LONGEST = 90000 };

enum way {
  WAY_LENGTH,
  WAY_CHUNKED,
  WAY_CLOSE,
  WAY_HINTS,  /* a 103 before it */
  WAY_BEYOND, /* bytes behind it */
  WAY_CUT,    /* half of it, and a reset */
  WAY_NONE,   /* closed without a word */
  WAY_LEAVE,  /* the client goes before the end */
  WAYS
};

typedef struct run {
  front *f;
  cft_peer *behind;
  _Atomic unsigned wrong_requests;
  _Atomic size_t seen[WAYS];
} run;

typedef struct worker {
  run *r;
  pthread_t thread;
  unsigned number;
  char error[256];
} worker;

static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= UINT64_C(0xff51afd7ed558ccd);
  x ^= x >> 33;
  x *= UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ x >> 33;
}

static size_t length_of(unsigned id) {
  uint64_t h = mix(id);

  return h % 4 == 0 ? 0 : h % 4 == 1 ? h / 4 % LONGEST : h / 4 % 300;
}

/* Letters that nobody else has; to be freed. */
static char *letters(unsigned id, size_t len) {
  char *s = cft_calloc(len + 1, 1);
  uint64_t h = mix(id + 77);

  for (size_t i = 0; i < len; i++) {
    if (i % 8 == 0)
      h = mix(h + i);
    s[i] = (char)('a' + (h >> (i % 8 * 8)) % 26);
  }
  return s;
}

/* ---- the server ---- */

static bool send_body(cft_conn *conn, enum way way, const char *body) {
  size_t len = strlen(body), half = len / 2;

  switch (way) {
  case WAY_CHUNKED:
    return cft_conn_sendf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                                "chunked\r\n\r\n") &&
           cft_conn_chunk(conn, body, half) &&
           cft_conn_chunk(conn, body + half, len - half) &&
           cft_conn_last_chunk(conn);
  case WAY_CLOSE:
    (void)(cft_conn_sendf(conn, "HTTP/1.1 200 OK\r\n\r\n") &&
           cft_conn_send(conn, body, len));
    return false;
  case WAY_CUT:
    (void)(cft_conn_sendf(conn,
                          "HTTP/1.1 200 OK\r\nContent-Length: %zu"
                          "\r\n\r\n",
                          len + 1) &&
           cft_conn_send(conn, body, half));
    cft_conn_rst(conn);
    return false;
  case WAY_NONE:
    return false;
  case WAY_BEYOND: /* with the body's end: later, it would be an answer */
    (void)cft_conn_sendf(conn,
                         "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n"
                         "%sHTTP/1.1 200 OK\r\nContent-Length: 8"
                         "\r\n\r\nsmuggled",
                         len, body);
    return true;
  default:
    return (way != WAY_HINTS ||
            cft_conn_sendf(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")) &&
           cft_conn_sendf(conn,
                          "HTTP/1.1 200 OK\r\nContent-Length: %zu"
                          "\r\n\r\n",
                          len) &&
           cft_conn_send(conn, body, len);
  }
}

static void on_connection(cft_conn *conn, void *user) {
  run *r = user;
  const cft_request *req;

  while (cft_conn_read_request(conn, &req)) {
    char *slash;
    unsigned id = (unsigned)strtoul(req->target + 1, &slash, 10);
    unsigned way =
        *slash == '/' ? (unsigned)strtoul(slash + 1, NULL, 10) : WAYS;
    char *body, *sent;
    bool going;

    if (way >= WAYS) {
      atomic_fetch_add(&r->wrong_requests, 1);
      return;
    }
    sent = letters(id + 1, req->body_len);
    if (memcmp(sent, req->body, req->body_len) != 0)
      atomic_fetch_add(&r->wrong_requests, 1);
    free(sent);
    atomic_fetch_add(&r->seen[way], 1);
    body = letters(id, length_of(id));
    going = send_body(conn, (enum way)way, body);
    free(body);
    if (!going)
      return;
  }
}

/* ---- the clients ---- */

static char *request_of(unsigned id, enum way way) {
  size_t len = mix(id + 5) % 3 == 0 ? length_of(id + 9) : 0;
  char *body = letters(id + 1, len), *all = cft_calloc(len + 300, 1);

  if (len != 0)
    (void)snprintf(all, len + 300,
                   "PUT /%u/%d HTTP/1.1\r\nHost: a\r\nX-Key: %u\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   id, way, id % 3, len, body);
  else
    (void)snprintf(all, 300,
                   "GET /%u/%d HTTP/1.1\r\nHost: a\r\nX-Key: %u"
                   "\r\n\r\n",
                   id, way, id % 3);
  free(body);
  return all;
}

/* front_ask takes the first head for the answer's. */
static char *ask(cft_client *c, const char *request, enum way way) {
  if (way != WAY_HINTS)
    return front_ask(c, "GET", request);
  cft_client_reset(c);
  if (!cft_client_send(c, request) ||
      !cft_client_until(c, "HTTP/1.1 103 Early Hints\r\n\r\n", 20000))
    return NULL;
  return front_rest(c, strlen("HTTP/1.1 103 Early Hints\r\n\r\n"), "GET");
}

static bool is_right(const cft_client *c, unsigned id, enum way way,
                     const char *got) {
  char *wanted;
  bool right;

  if (way == WAY_CUT)
    return got == NULL;
  if (got == NULL)
    return false;
  if (way == WAY_NONE)
    return front_status(c->data) == 502 &&
           front_has(c->data, "X-Result: broken");
  wanted = letters(id, length_of(id));
  right = strcmp(wanted, got) == 0;
  free(wanted);
  return right;
}

static void one(worker *w, cft_client *c, unsigned id) {
  enum way way = (enum way)(mix(id + 3) % WAYS);
  char *request = request_of(id, way), *got;

  if (way == WAY_LEAVE) {
    (void)cft_client_send(c, request);
    if (mix(id) % 2 == 0)
      (void)cft_client_until_len(c, c->len + 1, 20000);
    cft_client_close(c);
    front_client(w->r->f, c);
    free(request);
    return;
  }
  got = ask(c, request, way);
  if (!is_right(c, id, way, got) && w->error[0] == '\0')
    (void)snprintf(w->error, sizeof w->error, "request %u, way %d: %.120s", id,
                   way, c->data);
  if (way == WAY_CUT || got == NULL) {
    cft_client_close(c);
    front_client(w->r->f, c);
  }
  free(got);
  free(request);
}

static void *work(void *arg) {
  worker *w = arg;
  cft_client c;

  front_client(w->r->f, &c);
  for (unsigned i = 0; i < REQUESTS && w->error[0] == '\0'; i++)
    one(w, &c, (w->number + 1) * 100000 + i * 20);
  cft_client_close(&c);
  return NULL;
}

START_TEST(test_proxy_everybody_gets_his_own) {
  run r = {0};
  worker w[CLIENTS] = {{0}};
  front_config config = {.pool = {.max_idle = 3}};

  r.behind = front_behind_handler(&config, on_connection, &r);
  r.f = front_start(&config);
  for (unsigned i = 0; i < CLIENTS; i++) {
    w[i].r = &r;
    w[i].number = i;
    ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
  for (unsigned i = 0; i < CLIENTS; i++)
    ck_assert_msg(w[i].error[0] == '\0', "%s", w[i].error);
  ck_assert_uint_eq(atomic_load(&r.wrong_requests), 0);
  for (int i = 0; i < WAYS; i++)
    ck_assert_msg(atomic_load(&r.seen[i]) != 0, "way %d was not tried", i);
  ck_assert_uint_eq(cft_peer_malformed(r.behind), 0);
  ck_assert_uint_gt(front_count(r.f, HTTP_PROXY_CUT), 0);
  front_stop(r.f);
  cft_peer_free(r.behind);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_proxy_mixed");
  TCase *tc = tcase_create("http_proxy_mixed");

  tcase_add_test(tc, test_proxy_everybody_gets_his_own);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
