/* Apps that move while visitors come: a request that reached nobody is taken to
   where the app is now, and whatever the table says, nobody sees another app's
   bytes.
   ctest: LABEL threads */
#include "platform/support/front.h"
#include "platform/support/plane_world.h"

#include <sched.h>
#include <unistd.h>

/* ---- once more ---- */

/* An app with an old guard and a new one; the table names the old one, until
   that one has been asked. */
typedef struct move {
  plane_world w;
  guard old, now;
  char was[ROUTE_CLAIM_MOST + 1], is[ROUTE_CLAIM_MOST + 1];
  const char *raw; /* what the old one answers */
  enum cft_then then;
  cft_client c;
  atomic_bool moved;
} move;

static move *the_move; /* of the handler; a test has one */

/* Answers when the table has changed. */
static void old_handler(cft_conn *conn, void *user) {
  guard *g = user;
  const cft_request *req;

  cft_conn_wakeable(conn);
  while (cft_conn_read_request(conn, &req)) {
    atomic_fetch_add(&g->asked, 1);
    while (!atomic_load(&the_move->moved))
      if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
        return;
    if (!guard_send(conn, the_move->raw, g->held) ||
        !cft_conn_then(conn, the_move->then))
      return;
  }
}

static void begin(move *m, const char *raw, enum cft_then then) {
  memset(m, 0, sizeof *m);
  the_move = m;
  m->raw = raw;
  m->then = then;
  claim_of(m->was, "a", 1);
  claim_of(m->is, "a", 2);
  guard_start(&m->old, m->was, old_handler);
  guard_start(&m->now, m->is, NULL);
  world_open(&m->w, (engine_config){.threads = 1});
  world_live(&m->w, 0, "a", "a.example", m->old.addr, m->was);
  visitor(&m->w, &m->c);
}

static void finish(move *m) {
  cft_client_close(&m->c);
  world_close(&m->w);
  guard_stop(&m->old);
  guard_stop(&m->now);
}

/* Sends the request, moves the app once it is there, and reads the answer. */
static char *ask_moving(move *m, const char *method, const char *request) {
  cft_client_reset(&m->c);
  ck_assert(cft_client_send(&m->c, request));
  ck_assert(cft_peer_wait_requests(m->old.peer, CFT_ANY, 1, WAIT_MS));
  world_live(&m->w, 0, "a", "a.example", m->now.addr, m->is);
  atomic_store(&m->moved, true);
  cft_peer_wake(m->old.peer);
  return front_rest(&m->c, 0, method);
}

#define GET_A "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define POST_A(length, body)                                                   \
  "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: " length              \
  "\r\n\r\n" body
#define NOT_HERE "HTTP/1.1 421 No\r\nContent-Length: 0\r\n\r\n"
#define NOBODY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const struct {
  const char *what, *request, *raw;
  enum cft_then then;
  const char *code; /* NULL: the app's answer, from where it is now */
} tries[] = {
    {"a claim that is not held", GET_A, NOT_HERE, CFT_KEEP, NULL},
    {"with a method that may not be repeated", POST_A("0", ""), NOT_HERE,
     CFT_KEEP, NULL},
    {"with a body that was sent", POST_A("2", "ab"), NOT_HERE, CFT_KEEP, "E06"},
    {"no echo", GET_A, NOBODY, CFT_KEEP, NULL},
    {"no echo, and it may have done something", POST_A("0", ""), NOBODY,
     CFT_KEEP, "E06"},
    {"the app has ended", POST_A("0", ""), TELL("crashed", "503 No"), CFT_KEEP,
     NULL},
    {"the app is starting", GET_A, TELL("starting", "503 No"), CFT_KEEP, NULL},
    {"the app was too slow", GET_A, TELL("late", "504 No"), CFT_KEEP, "E13"},
    {"the app spoke nonsense", GET_A, TELL("broken", "502 No"), CFT_KEEP,
     "E12"},
    {"cut before an answer", GET_A, "", CFT_RST, "E12"},
    {"a page of the app's own", GET_A,
     "HTTP/1.1 503 No\r\n" CLAIM "Content-Length: 3\r\n\r\nown", CFT_KEEP, ""},
};

START_TEST(test_plane_a_request_that_reached_nobody_follows_the_app) {
  char field[64], *body;
  move m;

  begin(&m, tries[_i].raw, tries[_i].then);
  body = ask_moving(&m, "GET", tries[_i].request);
  ck_assert_msg(body != NULL, "%s: %s", tries[_i].what, m.c.data);
  if (tries[_i].code == NULL) {
    ck_assert_msg(strcmp(body, m.is) == 0, "%s: %s", tries[_i].what, m.c.data);
    ck_assert_int_eq(world_count(&m.w, "balancer_retries_total", NULL), 1);
  } else {
    (void)snprintf(field, sizeof field, "X-Balancer-Error: %s", tries[_i].code);
    ck_assert_msg(tries[_i].code[0] == '\0' ? strcmp(body, "own") == 0
                                            : front_has(m.c.data, field),
                  "%s: %s", tries[_i].what, m.c.data);
    ck_assert_uint_eq(atomic_load(&m.now.asked), 0);
    ck_assert_int_eq(world_count(&m.w, "balancer_retries_total", NULL), 0);
  }
  ck_assert_uint_eq(atomic_load(&m.old.asked), 1);
  free(body);
  finish(&m);
}
END_TEST

/* Only once; and not to the one that was asked. */
START_TEST(test_plane_a_request_is_passed_on_twice_at_most) {
  char *body;
  move m;

  begin(&m, NOT_HERE, CFT_KEEP);
  guard_hold(&m.now, "b/1");
  body = ask_moving(&m, "GET", GET_A);
  ck_assert_ptr_nonnull(body);
  ck_assert_msg(front_has(m.c.data, "X-Balancer-Error: E06"), "%s", m.c.data);
  ck_assert_uint_eq(cft_peer_count(m.now.peer, CFT_ANY), 1);
  free(body);
  /* The table says the same as before: there is nobody else to ask. */
  world_live(&m.w, 0, "a", "a.example", m.old.addr, m.was);
  body = front_ask(&m.c, "GET", GET_A);
  ck_assert_msg(front_has(m.c.data, "X-Balancer-Error: E06"), "%s", m.c.data);
  ck_assert_uint_eq(atomic_load(&m.old.asked), 2);
  ck_assert_int_eq(world_count(&m.w, "balancer_retries_total", NULL), 1);
  free(body);
  finish(&m);
}
END_TEST

/* Two targets that both refuse: each is asked once. */
START_TEST(test_plane_two_targets_that_refuse_are_asked_once_each) {
  route_doc doc = doc_of("a", "a.example", ROUTE_LIVE);
  char *body;
  move m;

  begin(&m, NOT_HERE, CFT_KEEP);
  atomic_store(&m.moved, true);
  guard_hold(&m.now, "b/1");
  doc_to(&doc, m.old.addr, m.was);
  doc_to(&doc, m.now.addr, m.is);
  world_put(&m.w, 0, &doc);
  body = front_ask(&m.c, "GET", GET_A);
  ck_assert_ptr_nonnull(body);
  ck_assert_msg(front_has(m.c.data, "X-Balancer-Error: E06"), "%s", m.c.data);
  ck_assert_uint_eq(cft_peer_count(m.old.peer, CFT_ANY), 1);
  ck_assert_uint_eq(cft_peer_count(m.now.peer, CFT_ANY), 1);
  free(body);
  finish(&m);
}
END_TEST

/* What the table says by then is truer than that nobody was there. */
START_TEST(test_plane_a_request_that_reached_nobody_gets_the_page_of_now) {
  route_doc doc = doc_of("a", "a.example", ROUTE_STOPPED);
  char *body;
  move m;

  begin(&m, NOT_HERE, CFT_KEEP);
  ck_assert(cft_client_send(&m.c, GET_A));
  ck_assert(cft_peer_wait_requests(m.old.peer, CFT_ANY, 1, WAIT_MS));
  world_put(&m.w, 0, &doc);
  atomic_store(&m.moved, true);
  cft_peer_wake(m.old.peer);
  body = front_rest(&m.c, 0, "GET");
  ck_assert_ptr_nonnull(body);
  ck_assert_msg(front_has(m.c.data, "X-Balancer-Error: E04"), "%s", m.c.data);
  free(body);
  finish(&m);
}
END_TEST

/* Of two targets one takes no connection. A body that nobody has read goes
   along. */
START_TEST(test_plane_the_other_target_is_asked) {
  route_doc doc = doc_of("a", "a.example", ROUTE_LIVE);
  char addr[64], *body;
  uint16_t port;
  int fd = cft_port_refusing(&port);
  move m;

  ck_assert_int_ge(fd, 0);
  begin(&m, NOT_HERE, CFT_KEEP);
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  doc_to(&doc, addr, m.was);
  doc_to(&doc, m.now.addr, m.is);
  world_put(&m.w, 0, &doc);
  for (int i = 0; i < 8; i++) {
    body = front_ask(&m.c, "GET", i % 2 == 0 ? GET_A : POST_A("3", "abc"));
    ck_assert_msg(body != NULL && strcmp(body, m.is) == 0, "%s", m.c.data);
    free(body);
  }
  ck_assert_uint_eq(cft_peer_count(m.now.peer, CFT_ANY), 8);
  ck_assert_str_eq(cft_peer_request(m.now.peer, CFT_ANY, 7)->body, "abc");
  (void)close(fd);
  finish(&m);
}
END_TEST

/* ---- many of them ---- */

enum { APPS = 4, GUARDS = 8, VISITORS = 4, WORKERS = 4 };

struct crowd;

typedef struct one_visitor {
  struct crowd *crowd;
  _Atomic size_t answers;
} one_visitor;

typedef struct crowd {
  plane_world w;
  guard guards[GUARDS];
  size_t at[APPS]; /* which guard has it */
  unsigned claims; /* that were ever made */
  uint64_t seed;
  atomic_bool over;
  one_visitor visitors[VISITORS];
  _Atomic size_t own, pages, wrong;
  char first[512]; /* of what was wrong */
  pthread_mutex_t lock;
} crowd;

static void keep_first(crowd *k, const char *what) {
  (void)pthread_mutex_lock(&k->lock);
  if (k->first[0] == '\0')
    (void)snprintf(k->first, sizeof k->first, "%s", what);
  (void)pthread_mutex_unlock(&k->lock);
}

/* The body is the claim that was held, which begins with the app's name. */
static void judge(crowd *k, const cft_client *c, const char *body,
                  const char *app) {
  size_t len = strlen(app);

  if (body == NULL) {
    atomic_fetch_add(&k->wrong, 1);
    keep_first(k, c->data);
  } else if (strstr(c->data, "\r\nX-Balancer-Error: ") != NULL) {
    atomic_fetch_add(&k->pages, 1);
    keep_first(k, c->data);
  } else if (strncmp(body, app, len) == 0 && body[len] == '/') {
    atomic_fetch_add(&k->own, 1);
  } else {
    atomic_fetch_add(&k->wrong, 1);
    keep_first(k, c->data);
  }
}

static void *visit_them(void *arg) {
  one_visitor *v = arg;
  crowd *k = v->crowd;
  cft_client c;
  bool open = false;

  for (unsigned n = 0; !atomic_load(&k->over); n++) {
    char app[16], request[128], *body;

    (void)snprintf(app, sizeof app, "app%u", n % APPS);
    (void)snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: %s.example\r\n\r\n", app);
    if (!open)
      open = cft_client_connect(&c, k->w.port);
    if (!open) {
      atomic_fetch_add(&k->wrong, 1);
      break;
    }
    body = front_ask(&c, "GET", request);
    judge(k, &c, body, app);
    atomic_fetch_add(&v->answers, 1);
    free(body);
    if (n % 50 == 49 || c.end != CFT_END_NONE) {
      cft_client_close(&c);
      open = false;
    }
  }
  if (open)
    cft_client_close(&c);
  return NULL;
}

static size_t below(crowd *k, size_t n) {
  k->seed ^= k->seed << 13;
  k->seed ^= k->seed >> 7;
  k->seed ^= k->seed << 17;
  return (size_t)(k->seed >> 33) % n;
}

static void new_claim(crowd *k, size_t app, char out[ROUTE_CLAIM_MOST + 1]) {
  char name[16];

  (void)snprintf(name, sizeof name, "app%zu", app);
  claim_of(out, name, ++k->claims);
}

static void put_app(crowd *k, size_t app, size_t g, const char *claim) {
  char name[16], host[32];

  (void)snprintf(name, sizeof name, "app%zu", app);
  (void)snprintf(host, sizeof host, "app%zu.example", app);
  world_live(&k->w, app, name, host, k->guards[g].addr, claim);
}

static bool is_used(const crowd *k, size_t g) {
  for (size_t i = 0; i < APPS; i++)
    if (k->at[i] == g)
      return true;
  return false;
}

/* As a redeploy does it: the new one first, then the route, then the old one is
   let go. Not twice while one request is on its way. */
static void move_well(crowd *k) {
  size_t app = below(k, APPS), old = k->at[app], g;
  char claim[ROUTE_CLAIM_MOST + 1];

  do
    g = below(k, GUARDS);
  while (is_used(k, g));
  new_claim(k, app, claim);
  guard_hold(&k->guards[g], claim);
  put_app(k, app, g, claim);
  k->at[app] = g;
  guard_hold(&k->guards[old], "");
}

/* In any order, with a table that is wrong: a guard is another app's already,
   a claim was never held, a route names another's drone. */
static void move_badly(crowd *k) {
  size_t app = below(k, APPS), other = below(k, APPS), g = below(k, GUARDS);
  char claim[ROUTE_CLAIM_MOST + 1], its[ROUTE_CLAIM_MOST + 1];

  new_claim(k, app, claim);
  new_claim(k, other, its);
  switch (below(k, 4)) {
  case 0: /* taken by another, and the table does not know */
    guard_hold(&k->guards[g], its);
    break;
  case 1: /* the route before the bind */
    put_app(k, app, g, claim);
    guard_hold(&k->guards[g], claim);
    break;
  case 2: /* two apps at one drone */
    guard_hold(&k->guards[g], its);
    put_app(k, other, g, its);
    put_app(k, app, g, claim);
    break;
  default: /* taken away, given to another, back and forth */
    guard_hold(&k->guards[g], claim);
    put_app(k, app, g, claim);
    guard_hold(&k->guards[g], its);
    guard_hold(&k->guards[g], claim);
    break;
  }
}

static void begin_crowd(crowd *k) {
  char claim[ROUTE_CLAIM_MOST + 1];

  memset(k, 0, sizeof *k);
  (void)pthread_mutex_init(&k->lock, NULL);
  k->seed = 88172645463325252U;
  for (size_t i = 0; i < GUARDS; i++)
    guard_start(&k->guards[i], "", NULL);
  world_open(&k->w, (engine_config){.threads = WORKERS});
  for (size_t i = 0; i < APPS; i++) {
    k->at[i] = i;
    new_claim(k, i, claim);
    guard_hold(&k->guards[i], claim);
    put_app(k, i, i, claim);
  }
}

static void finish_crowd(crowd *k) {
  world_close(&k->w);
  for (size_t i = 0; i < GUARDS; i++)
    guard_stop(&k->guards[i]);
  (void)pthread_mutex_destroy(&k->lock);
}

/* Until each visitor has had an answer: what was asked before is answered. */
static void wait_for_all(crowd *k) {
  int64_t end = cft_now_ms() + WAIT_MS;
  size_t before[VISITORS];

  for (size_t i = 0; i < VISITORS; i++)
    before[i] = atomic_load(&k->visitors[i].answers);
  for (size_t i = 0; i < VISITORS; i++)
    while (atomic_load(&k->visitors[i].answers) == before[i] &&
           atomic_load(&k->wrong) == 0) {
      (void)sched_yield();
      ck_assert_msg(cft_now_ms() < end, "visitor %zu waits", i);
    }
}

/* Until visitors have had so many answers. */
static void move_about(crowd *k, void (*one)(crowd *k), size_t answers) {
  pthread_t threads[VISITORS];
  int64_t end = cft_now_ms() + 4 * WAIT_MS;

  for (size_t i = 0; i < VISITORS; i++) {
    k->visitors[i].crowd = k;
    ck_assert_int_eq(
        pthread_create(&threads[i], NULL, visit_them, &k->visitors[i]), 0);
  }
  while (atomic_load(&k->own) + atomic_load(&k->pages) < answers &&
         atomic_load(&k->wrong) == 0) {
    one(k);
    table_reclaim(k->w.table);
    wait_for_all(k);
    ck_assert_msg(cft_now_ms() < end, "%zu answers", atomic_load(&k->own));
  }
  atomic_store(&k->over, true);
  for (size_t i = 0; i < VISITORS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(test_plane_apps_that_move_well_show_no_error) {
  static crowd k;

  begin_crowd(&k);
  move_about(&k, move_well, cft_is_slow() ? 500 : 6000);
  ck_assert_msg(atomic_load(&k.wrong) == 0, "%s", k.first);
  ck_assert_msg(atomic_load(&k.pages) == 0, "%zu pages: %s",
                atomic_load(&k.pages), k.first);
  ck_assert_uint_gt(k.claims, APPS + 10);
  /* Readers are never in the way of what is to be freed. */
  table_reclaim(k.w.table);
  ck_assert_uint_eq(table_waiting(k.w.table), 0);
  finish_crowd(&k);
}
END_TEST

START_TEST(test_plane_nobody_sees_another_apps_bytes) {
  static crowd k;

  begin_crowd(&k);
  move_about(&k, move_badly, cft_is_slow() ? 500 : 6000);
  ck_assert_msg(atomic_load(&k.wrong) == 0, "%s", k.first);
  ck_assert_uint_gt(atomic_load(&k.own), 0);
  ck_assert_uint_gt(atomic_load(&k.pages), 0);
  ck_assert_int_eq(world_count(&k.w, "balancer_errors_total", "code=\"E06\""),
                   (int64_t)atomic_load(&k.pages));
  finish_crowd(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_plane_moves");
  TCase *tc = tcase_create("balancer_plane_moves");

  tcase_add_loop_test(tc,
                      test_plane_a_request_that_reached_nobody_follows_the_app,
                      0, (int)(sizeof tries / sizeof *tries));
  tcase_add_test(tc, test_plane_a_request_is_passed_on_twice_at_most);
  tcase_add_test(tc, test_plane_two_targets_that_refuse_are_asked_once_each);
  tcase_add_test(tc,
                 test_plane_a_request_that_reached_nobody_gets_the_page_of_now);
  tcase_add_test(tc, test_plane_the_other_target_is_asked);
  tcase_add_test(tc, test_plane_apps_that_move_well_show_no_error);
  tcase_add_test(tc, test_plane_nobody_sees_another_apps_bytes);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
