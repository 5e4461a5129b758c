/* HAProxy's map is what the table says: after changes, replacements, deaths and
   reloads of HAProxy, and after somebody else has written to it.
   ctest: LABEL threads */
#include "platform/support/haproxy_world.h"

#define SHOW_BASE "show map /dev/null\n"
#define SHOW_OVER "show map /dev/./null\n"

static void expect_shown(const haproxy_world *h, const char *host, int status,
                         const char *body) {
  char *answer = visit(h, "GET", "/", host, "");

  ck_assert_msg(status_in(answer) == status &&
                    (body == NULL || strcmp(body_in(answer), body) == 0),
                "%s: expected %d %s, got %s", host, status,
                body != NULL ? body : "", answer);
  free(answer);
}

static size_t lines_of(const haproxy_world *h, const char *command) {
  char *map = haproxy_say(h, command);
  size_t n = map[0] == '0';

  for (const char *at = map; (at = strchr(at, '\n')) != NULL; at++)
    n += at[1] == '0';
  free(map);
  return n;
}

/* Hosts of the base. */
static size_t entries(const haproxy_world *h) {
  return lines_of(h, SHOW_BASE) - 1;
}

static int64_t repairs(const haproxy_world *h) {
  return world_count(&h->w, "balancer_haproxy_repairs_total", NULL);
}

static int64_t replaces(const haproxy_world *h) {
  return world_count(&h->w, "balancer_haproxy_replaces_total", NULL);
}

/* ---- changes ---- */

static void put_hosts(haproxy_world *h, size_t number, const char *app,
                      const char *const *hosts, const guard *g,
                      const char *claim) {
  route_doc doc = doc_of(app, hosts[0], ROUTE_LIVE);

  for (size_t i = 1; hosts[i] != NULL; i++) {
    (void)snprintf(doc.hosts[i], sizeof doc.hosts[i], "%s", hosts[i]);
    doc.host_count++;
  }
  doc_to(&doc, g->addr, claim);
  world_put(&h->w, number, &doc);
}

START_TEST(test_haproxy_changes_come_in) {
  static const char *const both[] = {"a.example", "b.example", NULL};
  static const char *const second[] = {"b.example", NULL};
  haproxy_world h;
  guard one, two;
  char claim[2][ROUTE_CLAIM_MOST + 1];
  int64_t before;

  claim_of(claim[0], "one", 1);
  claim_of(claim[1], "two", 1);
  guard_start(&one, claim[0], NULL);
  guard_start(&two, claim[1], NULL);
  haproxy_world_open(&h, (engine_config){0});
  until_applied(&h);
  before = replaces(&h);
  put_hosts(&h, 1, "one", both, &one, claim[0]);
  until_applied(&h);
  expect_shown(&h, "a.example", 200, claim[0]);
  expect_shown(&h, "b.example", 200, claim[0]);
  /* b.example is listed by both: the lower name has it. */
  put_hosts(&h, 2, "two", second, &two, claim[1]);
  until_applied(&h);
  expect_shown(&h, "b.example", 200, claim[0]);
  world_put(&h.w, 1, NULL);
  until_applied(&h);
  expect_shown(&h, "a.example", 404, NULL);
  expect_shown(&h, "b.example", 200, claim[1]);
  put_hosts(&h, 1, "one", both, &one, claim[0]);
  until_applied(&h);
  expect_shown(&h, "b.example", 200, claim[0]);
  put_hosts(&h, 1, "one", second, &two, claim[0]);
  until_applied(&h);
  expect_shown(&h, "a.example", 404, NULL);
  expect_shown(&h, "b.example", 503,
               NULL); /* two's drone holds no such claim */
  world_put(&h.w, 1, NULL);
  world_put(&h.w, 2, NULL);
  until_applied(&h);
  expect_shown(&h, "b.example", 404, NULL);
  ck_assert_uint_eq(entries(&h), 0);
  ck_assert_uint_eq(lines_of(&h, SHOW_OVER), 3);
  ck_assert_int_eq(replaces(&h), before);
  ck_assert_int_eq(repairs(&h), 0);
  guard_stop(&one);
  guard_stop(&two);
  haproxy_world_close(&h);
}
END_TEST

/* ---- all of it ---- */

enum { MANY = 10000 };

static route *many[MANY];

static void fill_many(haproxy_world *h, const char *addr, unsigned generation) {
  routes *set = routes_new(h->w.table, MANY);
  char app[16], host[32], claim[ROUTE_CLAIM_MOST + 1];

  ck_assert_ptr_nonnull(set);
  for (unsigned i = 0; i < MANY; i++) {
    route_doc doc;

    (void)snprintf(app, sizeof app, "m%u", i);
    (void)snprintf(host, sizeof host, "m%u.example", i);
    claim_of(claim, app, generation);
    doc = doc_of(app, host, ROUTE_LIVE);
    doc_to(&doc, addr, claim);
    table_retire(h->w.table, many[i], free);
    many[i] = route_make(&doc);
    ck_assert_ptr_nonnull(many[i]);
    ck_assert(routes_put(set, many[i], NULL));
  }
  table_publish(h->w.table, set);
  h->w.set = set;
  engine_replaced(h->w.engine);
}

static bool many_applied(void *ctx) {
  haproxy_world *h = ctx;

  (void)turn(h);
  for (size_t i = 0; i < MANY; i++)
    if (!engine_is_applied(h->w.engine, many[i]))
      return false;
  return true;
}

START_TEST(test_haproxy_ten_thousand_are_replaced) {
  haproxy_world h;
  char claim[ROUTE_CLAIM_MOST + 1];
  guard g;

  memset(many, 0, sizeof many);
  claim_of(claim, "m7777", 1);
  guard_start(&g, claim, NULL);
  haproxy_world_open(&h, (engine_config){0});
  for (unsigned generation = 1; generation <= 3; generation++) {
    fill_many(&h, g.addr, generation);
    ck_assert(!engine_is_applied(h.w.engine, many[0]));
    ck_assert(cft_until(many_applied, &h, WAIT_MS));
    claim_of(claim, "m7777", generation);
    guard_hold(&g, claim);
    expect_shown(&h, "m7777.example", 200, claim);
    ck_assert_uint_eq(entries(&h), MANY);
  }
  /* As many changes, one by one. */
  for (unsigned i = 0; i < MANY; i++) {
    routes_drop(h.w.set, many[i]);
    engine_changed(h.w.engine, many[i], NULL);
    table_retire(h.w.table, many[i], free);
    many[i] = NULL;
  }
  until_applied(&h);
  expect_shown(&h, "m7777.example", 404, NULL);
  ck_assert_uint_le(lines_of(&h, SHOW_OVER), 1000);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- HAProxy's lives ---- */

static bool in_trouble(void *ctx) {
  haproxy_world *h = ctx;

  (void)turn(h);
  return status_of(h).trouble[0] != '\0';
}

static const char claim1[] = "a1/00000000000000000000000000000001";

START_TEST(test_haproxy_killed_gets_all_again) {
  haproxy_world h;
  guard g;
  int told;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  haproxy_kill(&h);
  ck_assert(cft_until(in_trouble, &h, WAIT_MS));
  ck_assert(!engine_is_applied(h.w.engine, h.w.held[1]));
  world_live(&h.w, 2, "b2", "b2.example", g.addr, claim1);
  ck_assert(!engine_is_applied(h.w.engine, h.w.held[2]));
  told = h.applied;
  haproxy_start(&h);
  until_applied(&h);
  ck_assert_int_gt(h.applied, told);
  expect_shown(&h, "a1.example", 200, claim1);
  ck_assert_uint_eq(entries(&h), 2);
  ck_assert_int_eq(repairs(&h), 0);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

static bool shows_again(void *ctx) {
  const haproxy_world *h = ctx;
  char *answer = visit(h, "GET", "/", "a1.example", "");
  int status = status_in(answer);

  ck_assert_msg(status == 200 || status == 503, "%s", answer);
  free(answer);
  return status == 200;
}

/* The old process keeps our link, and the new one gets the visitors. */
START_TEST(test_haproxy_reloaded_gets_all_in_the_new_process) {
  haproxy_world h;
  cft_proc *old;
  char pid[16];
  const char *argv[] = {"haproxy", "-db", "-f", NULL, "-sf", pid, NULL};
  cft_client kept;
  int64_t before;
  int status;
  guard g;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  /* Somebody whom the old process has to wait for. */
  visitor(&h.w, &kept);
  ck_assert(
      cft_client_send(&kept, "GET /held HTTP/1.1\r\nHost: a1.example\r\n\r\n"));
  ck_assert(cft_peer_wait_requests(g.peer, CFT_ANY, 1, WAIT_MS));
  before = replaces(&h);
  old = h.proc;
  argv[3] = h.config_path;
  (void)snprintf(pid, sizeof pid, "%d", (int)cft_proc_pid(old));
  h.proc = cft_proc_start(argv, NULL);
  ck_assert_ptr_nonnull(h.proc);
  ck_assert(cft_until(shows_again, &h, WAIT_MS));
  while (replaces(&h) == before)
    ck_assert(cft_until(all_applied, &h, WAIT_MS));
  ck_assert_uint_eq(entries(&h), 1);
  ck_assert(cft_proc_signal(old, 0));
  guard_open(&g);
  ck_assert(cft_client_until(&kept, claim1, WAIT_MS));
  cft_client_close(&kept);
  ck_assert(cft_proc_wait(old, WAIT_MS, &status));
  cft_proc_free(old);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

static bool is_linked(void *ctx) {
  haproxy_world *h = ctx;

  return metric_value(
             metrics_gauge(h->w.metrics, "balancer_haproxy_up", NULL, "")) == 1;
}

/* A balancer that begins anew knows nothing for a while: visitors do not see
   that. */
START_TEST(test_haproxy_goes_on_while_the_balancer_begins_anew) {
  haproxy_world h;
  guard g;
  int64_t before;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  haproxy_close_engine(&h);
  expect_shown(&h, "a1.example", 200, claim1);
  table_set_ready(h.w.table, false);
  before = replaces(&h);
  haproxy_open_engine(&h);
  ck_assert(cft_until(is_linked, &h, WAIT_MS));
  ck_assert(!engine_is_applied(h.w.engine, h.w.held[1]));
  expect_shown(&h, "a1.example", 200, claim1);
  ck_assert_int_eq(replaces(&h), before);
  table_set_ready(h.w.table, true);
  engine_replaced(h.w.engine);
  until_applied(&h);
  expect_shown(&h, "a1.example", 200, claim1);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* A snapshot is put in force once the engine is open, and nobody tells it. */
START_TEST(test_haproxy_gets_a_table_that_came_without_a_word) {
  haproxy_world h;
  guard g;
  routes *set;
  route_doc doc = doc_of("a1", "a1.example", ROUTE_LIVE);

  guard_start(&g, claim1, NULL);
  haproxy_world_start(&h, (engine_config){0});
  table_set_ready(h.w.table, false);
  haproxy_open_engine(&h);
  doc_to(&doc, g.addr, claim1);
  h.w.held[1] = route_make(&doc);
  set = routes_new(h.w.table, 1);
  ck_assert(h.w.held[1] != NULL && set != NULL);
  ck_assert(routes_put(set, h.w.held[1], NULL));
  table_publish(h.w.table, set);
  h.w.set = set;
  table_set_ready(h.w.table, true);
  until_applied(&h);
  expect_shown(&h, "a1.example", 200, claim1);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- others who write ---- */

typedef struct repaired {
  haproxy_world *h;
  int64_t count;
} repaired;

static bool is_repaired(void *ctx) {
  const repaired *r = ctx;

  (void)turn(r->h);
  return repairs(r->h) >= r->count && all_applied(r->h);
}

START_TEST(test_haproxy_tampered_with_is_seen_and_repaired) {
  static const char *const commands[] = {
      "del map /dev/null a1.example\n",
      "set map /dev/null a1.example 127.0.0.1|1|evil/1\n",
      "add map /dev/null evil.example 127.0.0.1|1|evil/1\n",
      "clear map /dev/null\n",
      "set map /dev/./null ALL E31\n",
      "add map /dev/./null a1.example E04\n",
      "clear map /dev/./null\n",
  };
  haproxy_world h;
  guard g;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){.verify_ms = 100});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  engine_replaced(h.w.engine);
  until_applied(&h);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    repaired r = {&h, repairs(&h) + 1};

    free(haproxy_say(&h, commands[i]));
    ck_assert_msg(cft_until(is_repaired, &r, WAIT_MS), "%s", commands[i]);
    expect_shown(&h, "a1.example", 200, claim1);
    ck_assert_uint_eq(entries(&h), 1);
  }
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* A change that HAProxy refuses is a sign that its map is another one. */
START_TEST(test_haproxy_refusals_lead_to_a_replacement) {
  haproxy_world h;
  guard g;
  int64_t before;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  until_applied(&h);
  before = replaces(&h);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  ck_assert_int_eq(replaces(&h), before);
  free(haproxy_say(&h, "clear map /dev/./null\n"));
  world_live(&h.w, 1, "a1", "a1.example", "127.0.0.1:1", claim1);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  ck_assert_int_gt(replaces(&h), before);
  expect_shown(&h, "a1.example", 200, claim1);
  ck_assert_uint_eq(entries(&h), 1);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- what is no HAProxy ---- */

static void expect_trouble(haproxy_world *h, const char *part) {
  int64_t end = cft_now_ms() + WAIT_MS;

  while (strstr(status_of(h).trouble, part) == NULL) {
    (void)turn(h);
    ck_assert_msg(cft_now_ms() < end, "wanted \"%s\", is \"%s\"", part,
                  status_of(h).trouble);
  }
  ck_assert_str_eq(status_of(h).name, "haproxy");
}

static void talker(cft_conn *conn, void *user) {
  const char *const *say = user;
  char byte[256];
  size_t got;

  while (cft_conn_read(conn, byte, sizeof byte, &got) && got != 0)
    if (!cft_conn_sendf(conn, "%s", *say))
      return;
}

START_TEST(test_haproxy_trouble_is_told) {
  haproxy_world h;
  cft_peer *peer;
  char where[128];
  const char *say = "\nPermission denied\n\n> ";
  int64_t began;

  haproxy_world_start(&h, (engine_config){0});
  haproxy_kill(&h);
  (void)unlink(h.socket);
  haproxy_open_engine(&h);
  expect_trouble(&h, "No such file");
  (void)snprintf(where, sizeof where, "unix:%s", h.socket);
  peer = cft_peer_start(where, talker, (void *)(uintptr_t)&say);
  expect_trouble(&h, "Permission denied");
  ck_assert(!engine_is_applied(h.w.engine, h.w.held[0]));
  cft_peer_free(peer);
  /* It says nothing at all: closing does not wait for it. */
  say = "";
  (void)unlink(h.socket);
  peer = cft_peer_start(where, talker, (void *)(uintptr_t)&say);
  ck_assert(cft_peer_wait_accepted(peer, 1, WAIT_MS));
  began = cft_now_ms();
  haproxy_close_engine(&h);
  ck_assert_int_lt(cft_now_ms() - began, 4000);
  cft_peer_free(peer);
  haproxy_world_close(&h);
}
END_TEST

START_TEST(test_haproxy_with_another_configuration_is_told) {
  haproxy_world h;
  FILE *file;

  haproxy_world_start(&h, (engine_config){0});
  haproxy_kill(&h);
  file = fopen(h.config_path, "we");
  ck_assert_ptr_nonnull(file);
  (void)fprintf(file,
                "global\n stats socket %s level admin\ndefaults\n mode http\n"
                " timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
                "frontend f\n bind %s\n http-request deny\n",
                h.socket, h.listen);
  ck_assert_int_eq(fclose(file), 0);
  haproxy_start(&h);
  haproxy_open_engine(&h);
  expect_trouble(&h, "--print-haproxy-config");
  haproxy_world_close(&h);
}
END_TEST

START_TEST(test_haproxy_hosts_it_cannot_serve_are_told) {
  haproxy_world h;
  guard g;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  world_live(&h.w, 2, "b2", "*.1.2.3.4.5.6.7.8.9.example.org", g.addr, claim1);
  expect_trouble(&h, "*.1.2.3.4.5.6.7.8.9.example.org is not served");
  ck_assert(!engine_is_applied(h.w.engine, h.w.held[2]));
  ck_assert(engine_is_applied(h.w.engine, h.w.held[1]));
  expect_shown(&h, "a1.example", 200, claim1);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

START_TEST(test_haproxy_open_says_what_is_missing) {
  static const struct {
    engine_config config;
    const char *part;
  } wrong[] = {
      {{.listen = "127.0.0.1:1"}, "runtime socket is missing"},
      {{.listen = "127.0.0.1:1", .haproxy_socket = ""}, "is missing"},
      {{.haproxy_socket = "/x"}, "address"},
      {{.listen = "127.0.0.1:1", .haproxy_socket = "/x", .naive = "noguard"},
       "naive"},
  };
  uv_loop_t loop;
  char error[200];

  ck_assert_int_eq(uv_loop_init(&loop), 0);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    error[0] = '\0';
    ck_assert_ptr_null(
        haproxy_open(&loop, &wrong[i].config, error, sizeof error));
    ck_assert_msg(strstr(error, wrong[i].part) != NULL, "%s", error);
  }
  ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

static void on_drained(void *ctx) { ++*(int *)ctx; }

START_TEST(test_haproxy_drain_leaves_its_visitors_alone) {
  haproxy_world h;
  guard g;
  int drained = 0;

  guard_start(&g, claim1, NULL);
  haproxy_world_open(&h, (engine_config){0});
  world_live_now(&h, 1, "a1", "a1.example", g.addr, claim1);
  engine_drain(h.w.engine, on_drained, &drained);
  ck_assert_int_eq(drained, 0);
  while (drained == 0)
    (void)turn(&h);
  haproxy_close_engine(&h);
  ck_assert_int_eq(drained, 1);
  expect_shown(&h, "a1.example", 200, claim1);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_haproxy_sync");
  TCase *map = tcase_create("map"), *more = tcase_create("more");

  haproxy_or_skip();
  tcase_add_test(map, test_haproxy_changes_come_in);
  tcase_add_test(map, test_haproxy_ten_thousand_are_replaced);
  tcase_add_test(map, test_haproxy_killed_gets_all_again);
  tcase_add_test(map, test_haproxy_reloaded_gets_all_in_the_new_process);
  tcase_add_test(map, test_haproxy_goes_on_while_the_balancer_begins_anew);
  tcase_add_test(map, test_haproxy_gets_a_table_that_came_without_a_word);
  tcase_add_test(map, test_haproxy_tampered_with_is_seen_and_repaired);
  suite_add_tcase(suite, map);
  tcase_add_test(more, test_haproxy_refusals_lead_to_a_replacement);
  tcase_add_test(more, test_haproxy_trouble_is_told);
  tcase_add_test(more, test_haproxy_with_another_configuration_is_told);
  tcase_add_test(more, test_haproxy_hosts_it_cannot_serve_are_told);
  tcase_add_test(more, test_haproxy_open_says_what_is_missing);
  tcase_add_test(more, test_haproxy_drain_leaves_its_visitors_alone);
  suite_add_tcase(suite, more);
  return cft_run(suite);
}
