/* Drones that go from app to app while visitors and HAProxy keep their
   connections: a visitor sees his app's bytes or a page, never another's.
   ctest: LABEL threads */
#include "platform/support/haproxy_world.h"

enum { VISITORS = 4, APPS = 3, ROUNDS = 30 };

typedef struct crowd {
  haproxy_world *h;
  atomic_bool over;
  _Atomic size_t served[APPS], pages;
  char wrong[512]; /* what one of them has seen */
  pthread_mutex_t lock;
} crowd;

typedef struct visitor_thread {
  crowd *crowd;
  unsigned seed;
} visitor_thread;

static bool read_answer(cft_client *c) {
  size_t length, head;
  const char *body;

  if (!cft_client_until(c, "\r\n\r\n", WAIT_MS))
    return false;
  body = body_in(c->data);
  head = (size_t)(body - c->data);
  length = strtoul(value_in(c->data, "content-length"), NULL, 10);
  return cft_client_until_len(c, head + length, WAIT_MS);
}

/* The guards answer with the claim they hold, which begins with the app. */
static void judge(crowd *all, const char *answer, unsigned app) {
  char own[16];

  (void)snprintf(own, sizeof own, "a%u/", app);
  if (status_in(answer) == 200 &&
      strncmp(body_in(answer), own, strlen(own)) == 0) {
    atomic_fetch_add(&all->served[app], 1);
    return;
  }
  if (status_in(answer) == 503 && (strncmp(body_in(answer), "E06 ", 4) == 0 ||
                                   strncmp(body_in(answer), "E02 ", 4) == 0)) {
    atomic_fetch_add(&all->pages, 1);
    return;
  }
  (void)pthread_mutex_lock(&all->lock);
  (void)snprintf(all->wrong, sizeof all->wrong, "a%u got %.400s", app, answer);
  (void)pthread_mutex_unlock(&all->lock);
  atomic_store(&all->over, true);
}

/* One kept connection for all apps, one after another. */
static void *come_and_go(void *ctx) {
  visitor_thread *v = ctx;
  crowd *all = v->crowd;
  char ask[128];
  cft_client c;
  bool open = false;

  while (!atomic_load(&all->over)) {
    unsigned app = v->seed++ % APPS;

    if (!open && !cft_client_connect(&c, all->h->w.port))
      continue;
    open = true;
    cft_client_reset(&c);
    (void)snprintf(ask, sizeof ask,
                   "GET / HTTP/1.1\r\nHost: a%u.example\r\n\r\n", app);
    if (cft_client_send(&c, ask) && read_answer(&c)) {
      judge(all, c.data, app);
    } else { /* closed by HAProxy between two requests */
      cft_client_close(&c);
      open = false;
    }
  }
  if (open)
    cft_client_close(&c);
  return NULL;
}

static size_t served(const crowd *all) {
  size_t n = 0;

  for (size_t i = 0; i < APPS; i++)
    n += atomic_load(&all->served[i]);
  return n;
}

static bool has_visits(void *ctx) {
  struct {
    crowd *all;
    size_t wanted;
  } *w = ctx;

  return atomic_load(&w->all->over) || served(w->all) >= w->wanted;
}

static void until_visits(crowd *all, size_t more) {
  struct {
    crowd *all;
    size_t wanted;
  } w = {all, served(all) + more};

  ck_assert(cft_until(has_visits, &w, WAIT_MS));
  ck_assert_msg(all->wrong[0] == '\0', "%s", all->wrong);
}

/* Drone i is given to another app, and HAProxy is told of it later: the table
   is as wrong as it can be for a while. */
static void move(haproxy_world *h, guard *drones, unsigned round, crowd *all) {
  char claim[APPS][ROUTE_CLAIM_MOST + 1], app[8], host[24];

  for (unsigned i = 0; i < APPS; i++) {
    (void)snprintf(app, sizeof app, "a%u", (i + round) % APPS);
    claim_of(claim[i], app, round + 1);
    guard_hold(&drones[i], claim[i]);
  }
  if (round % 3 == 0)
    until_visits(all, 0);
  for (unsigned i = 0; i < APPS; i++) {
    (void)snprintf(app, sizeof app, "a%u", (i + round) % APPS);
    (void)snprintf(host, sizeof host, "%s.example", app);
    world_live(&h->w, (i + round) % APPS, app, host, drones[i].addr, claim[i]);
  }
  until_applied(h);
  until_visits(all, 30);
}

START_TEST(test_haproxy_never_shows_anothers_bytes) {
  haproxy_world h;
  guard drones[APPS];
  crowd all;
  visitor_thread visitors[VISITORS];
  pthread_t threads[VISITORS];
  size_t accepted = 0, asked = 0;

  memset(&all, 0, sizeof all);
  all.h = &h;
  (void)pthread_mutex_init(&all.lock, NULL);
  haproxy_world_open(&h, (engine_config){0});
  for (unsigned i = 0; i < APPS; i++) {
    route_doc doc;
    char app[8], host[24];

    guard_start(&drones[i], "nobody/1", NULL);
    (void)snprintf(app, sizeof app, "a%u", i);
    (void)snprintf(host, sizeof host, "%s.example", app);
    doc = doc_of(app, host, ROUTE_STARTING);
    world_put(&h.w, i, &doc);
  }
  until_applied(&h);
  for (unsigned i = 0; i < VISITORS; i++) {
    visitors[i] = (visitor_thread){&all, i};
    ck_assert_int_eq(
        pthread_create(&threads[i], NULL, come_and_go, &visitors[i]), 0);
  }
  for (unsigned round = 0; round < ROUNDS; round++)
    move(&h, drones, round, &all);
  atomic_store(&all.over, true);
  for (unsigned i = 0; i < VISITORS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_msg(all.wrong[0] == '\0', "%s", all.wrong);
  for (unsigned i = 0; i < APPS; i++) {
    ck_assert_uint_gt(atomic_load(&all.served[i]), ROUNDS);
    accepted += cft_peer_accepted(drones[i].peer);
    asked += cft_peer_count(drones[i].peer, CFT_ANY);
    guard_stop(&drones[i]);
  }
  /* Some were kept, or nothing was shown of what this is for. */
  ck_assert_uint_lt(accepted, asked);
  (void)pthread_mutex_destroy(&all.lock);
  haproxy_world_close(&h);
}
END_TEST

/* The next answer on a kept connection, to be freed. */
static char *ask_kept(cft_client *c, const char *host) {
  char ask[128];

  cft_client_reset(c);
  (void)snprintf(ask, sizeof ask, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
  ck_assert(cft_client_send(c, ask));
  ck_assert(read_answer(c));
  return cft_strdup(c->data);
}

/* The connection to the drone stays the same, and its claim is another's. */
START_TEST(test_haproxy_a_kept_connection_keeps_no_claim) {
  char claim[2][ROUTE_CLAIM_MOST + 1], *answer;
  haproxy_world h;
  cft_client c;
  guard g;

  claim_of(claim[0], "a1", 1);
  claim_of(claim[1], "b2", 2);
  guard_start(&g, claim[0], NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim[0]);
  visitor(&h.w, &c);
  for (int i = 0; i < 3; i++) {
    answer = ask_kept(&c, "a1.example");
    ck_assert_str_eq(body_in(answer), claim[0]);
    free(answer);
  }
  ck_assert_uint_eq(cft_peer_accepted(g.peer), 1);
  guard_hold(&g, claim[1]);
  answer = ask_kept(&c, "a1.example");
  ck_assert_uint_eq(cft_peer_accepted(g.peer), 1);
  ck_assert_uint_eq(cft_peer_count(g.peer, CFT_ANY), 4);
  ck_assert_msg(status_in(answer) == 503 &&
                    strcmp(field_in(answer, "x-balancer-error"), "E06") == 0 &&
                    strstr(answer, "s3cret") == NULL &&
                    strstr(answer, claim[1]) == NULL,
                "%s", answer);
  free(answer);
  cft_client_close(&c);
  world_live_now(&h, 2, "b2", "b2.example", g.addr, claim[1]);
  answer = visit(&h, "GET", "/", "b2.example", "");
  ck_assert_str_eq(body_in(answer), claim[1]);
  free(answer);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_haproxy_moved");
  TCase *moved = tcase_create("moved");

  haproxy_or_skip();
  tcase_add_test(moved, test_haproxy_never_shows_anothers_bytes);
  tcase_add_test(moved, test_haproxy_a_kept_connection_keeps_no_claim);
  suite_add_tcase(suite, moved);
  return cft_run(suite);
}
