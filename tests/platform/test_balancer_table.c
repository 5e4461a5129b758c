/* The table, as its writer and one thread of readers see it: which route a host
   has, whatever has happened before; what is kept and what is freed; and what
   holds when memory is out. Threads are in test_balancer_table_threads.c.

   ctest: WRAP malloc
   ctest: WRAP calloc
   ctest: WRAP realloc */
#include "balancer/table_int.h"

#include "support/mem.h"
#include "support/unit.h"

/* ---- memory that is out ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool out_of_memory;

void *__wrap_malloc(size_t size) {
  return out_of_memory ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return out_of_memory ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size) {
  return out_of_memory ? NULL : __real_realloc(p, size);
}

/* ---- routes ---- */

/* hosts: with blanks between */
static route *make(const char *app, int64_t gen, const char *hosts) {
  static route_doc d;
  char words[2048], *rest = words, *word;
  route *r;

  memset(&d, 0, sizeof d);
  (void)snprintf(words, sizeof words, "%s", hosts);
  (void)snprintf(d.app, sizeof d.app, "%s", app);
  d.gen = gen;
  while ((word = strsep(&rest, " ")) != NULL)
    if (*word != '\0')
      (void)snprintf(d.hosts[d.host_count++], sizeof d.hosts[0], "%s", word);
  r = route_make(&d);
  ck_assert_ptr_nonnull(r);
  ck_assert_ptr_nonnull(route_check(r, route_size(r)));
  return r;
}

static route *put(routes *s, const char *app, const char *hosts,
                  const route *instead) {
  route *r = make(app, 1, hosts);

  ck_assert(routes_put(s, r, instead));
  return r;
}

/* "": none */
static const char *app_of(const route *r) {
  static char app[NAME_MOST + 1];

  app[0] = '\0';
  if (r != NULL)
    route_app(r, app);
  return app;
}

#define CHECK_HOST(t, host, app)                                               \
  ck_assert_str_eq(app_of(table_find((t), (host), strlen(host))), (app))

/* ---- hosts as visitors write them ---- */

START_TEST(test_table_hosts_are_found_as_visitors_write_them) {
  table *t = table_new();
  route *r;

  CHECK_HOST(t, "a.example", "");
  r = put(table_current(t), "a", "a.example b-1.example", NULL);
  CHECK_HOST(t, "a.example", "a");
  CHECK_HOST(t, "b-1.example", "a");
  CHECK_HOST(t, "A.Example", "a");
  CHECK_HOST(t, "a.example.", "a");
  CHECK_HOST(t, "a.example:80", "a");
  CHECK_HOST(t, "a.example.:80", "a");
  CHECK_HOST(t, "a.example:", "a");
  CHECK_HOST(t, "", "");
  CHECK_HOST(t, ".", "");
  CHECK_HOST(t, ":80", "");
  CHECK_HOST(t, "a.example..", "");
  CHECK_HOST(t, ".a.example", "");
  CHECK_HOST(t, "a..example", "");
  CHECK_HOST(t, "a.example:8o", "");
  CHECK_HOST(t, "a.example:80:80", "");
  CHECK_HOST(t, "a.exampl", "");
  CHECK_HOST(t, "a.examplee", "");
  CHECK_HOST(t, "[::1]:80", "");
  ck_assert_ptr_null(table_find(t, "a.example\0", 10));
  ck_assert_ptr_eq(routes_find(table_current(t), "a.example:1", 11), r);
  routes_drop(table_current(t), r);
  CHECK_HOST(t, "a.example", "");
  table_free(t);
  free(r);
}
END_TEST

START_TEST(test_table_a_host_that_is_too_long_is_none) {
  table *t = table_new();
  char host[4096];

  memset(host, 'a', sizeof host);
  ck_assert_ptr_null(table_find(t, host, sizeof host));
  for (size_t i = 1; i < sizeof host; i += 2)
    host[i] = '.';
  for (size_t len = 0; len < 600; len++)
    ck_assert_ptr_null(table_find(t, host, len));
  table_free(t);
}
END_TEST

START_TEST(test_table_patterns_match_where_nothing_longer_does) {
  table *t = table_new();
  routes *s = table_current(t);
  char deep[300] = "";
  route *r[4];

  r[0] = put(s, "all", "*.shop.example", NULL);
  CHECK_HOST(t, "x.shop.example", "all");
  CHECK_HOST(t, "X.Shop.Example.:80", "all");
  CHECK_HOST(t, "a.b.c.d.e.f.shop.example", "all");
  CHECK_HOST(t, "under_score.shop.example", "all");
  CHECK_HOST(t, "shop.example", "");
  CHECK_HOST(t, ".shop.example", "");
  CHECK_HOST(t, "x..shop.example", "");
  CHECK_HOST(t, "xshop.example", "");
  CHECK_HOST(t, "shop.example.x", "");
  r[1] = put(s, "eu", "*.eu.shop.example shop.example", NULL);
  r[2] = put(s, "one", "x.shop.example x.y.eu.shop.example", NULL);
  r[3] = put(s, "deep", "*.a.b.c.d.e.f.g.h.i.j.k.l", NULL);
  CHECK_HOST(t, "x.shop.example", "one");
  CHECK_HOST(t, "z.x.shop.example", "all");
  CHECK_HOST(t, "eu.shop.example", "all");
  CHECK_HOST(t, "y.eu.shop.example", "eu");
  CHECK_HOST(t, "z.y.eu.shop.example", "eu");
  CHECK_HOST(t, "x.y.eu.shop.example", "one");
  CHECK_HOST(t, "shop.example", "eu");
  CHECK_HOST(t, "z.a.b.c.d.e.f.g.h.i.j.k.l", "deep");
  CHECK_HOST(t, "a.b.c.d.e.f.g.h.i.j.k.l", "");
  for (int i = 0; i < 100; i++)
    (void)strcat(deep, "a.");
  (void)strcat(deep, "eu.shop.example");
  CHECK_HOST(t, deep, "eu");
  routes_drop(s, r[1]);
  CHECK_HOST(t, "y.eu.shop.example", "all");
  CHECK_HOST(t, deep, "all");
  table_free(t);
  for (int i = 0; i < 4; i++)
    free(r[i]);
}
END_TEST

/* ---- hosts of two ---- */

START_TEST(test_table_a_host_of_two_is_the_lower_name_s) {
  table *t = table_new();
  routes *s = table_current(t);
  route *a, *b, *c, *b2;

  b = put(s, "b", "x.example y.example", NULL);
  a = put(s, "a", "x.example", NULL);
  c = put(s, "c", "x.example z.example", NULL);
  CHECK_HOST(t, "x.example", "a");
  CHECK_HOST(t, "y.example", "b");
  CHECK_HOST(t, "z.example", "c");
  ck_assert_uint_eq(routes_host_count(s), 3);
  ck_assert_uint_eq(routes_shadow_count(s), 2);
  routes_drop(s, a);
  CHECK_HOST(t, "x.example", "b");
  b2 = put(s, "b", "y.example x.example", b);
  ck_assert_ptr_eq(table_find(t, "x.example", 9), b2);
  ck_assert_uint_eq(routes_shadow_count(s), 1);
  routes_drop(s, c);
  CHECK_HOST(t, "x.example", "b");
  ck_assert_uint_eq(routes_shadow_count(s), 0);
  ck_assert_uint_eq(routes_host_count(s), 2);
  routes_drop(s, b2);
  CHECK_HOST(t, "x.example", "");
  ck_assert_uint_eq(routes_host_count(s), 0);
  table_free(t);
  free(a);
  free(b);
  free(c);
  free(b2);
}
END_TEST

START_TEST(test_table_in_place_of_another_name_the_order_holds) {
  table *t = table_new();
  routes *s = table_current(t);
  route *a = put(s, "a", "x.example", NULL),
        *b = put(s, "b", "x.example", NULL);
  route *c = put(s, "c", "x.example", a);

  CHECK_HOST(t, "x.example", "b");
  routes_drop(s, b);
  CHECK_HOST(t, "x.example", "c");
  ck_assert(routes_put(s, c, c)); /* it is there: nothing happens */
  CHECK_HOST(t, "x.example", "c");
  ck_assert(routes_put(s, c, NULL));
  CHECK_HOST(t, "x.example", "c");
  routes_drop(s, c);
  CHECK_HOST(t, "x.example", "");
  ck_assert_uint_eq(routes_shadow_count(s), 0);
  table_free(t);
  free(a);
  free(b);
  free(c);
}
END_TEST

START_TEST(test_table_a_host_that_is_listed_twice_is_one) {
  table *t = table_new();
  routes *s = table_current(t);
  route *a = put(s, "a", "x.example y.example x.example", NULL);
  route *b = put(s, "b", "x.example x.example", NULL);

  ck_assert_uint_eq(routes_host_count(s), 2);
  ck_assert_uint_eq(routes_shadow_count(s), 1);
  CHECK_HOST(t, "x.example", "a");
  routes_drop(s, a);
  CHECK_HOST(t, "x.example", "b");
  routes_drop(s, b);
  CHECK_HOST(t, "x.example", "");
  ck_assert_uint_eq(routes_host_count(s), 0);
  ck_assert_uint_eq(routes_shadow_count(s), 0);
  table_free(t);
  free(a);
  free(b);
}
END_TEST

/* ---- any order of things, against a list ---- */

enum { APPS = 40, NAMES = 60, NAME_SIZE = 32 };

static uint64_t seed;

static size_t below(size_t n) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (size_t)((seed >> 33) % n);
}

typedef struct model {
  table *t;
  routes *s;
  route *held[APPS]; /* "a00" .. */
  char names[NAMES][NAME_SIZE];
  size_t changes;
} model;

/* Some below others, a third of them patterns. */
static void model_names(model *m) {
  for (size_t i = 0; i < NAMES; i++) {
    size_t parent = i / 2;

    if (i < 8)
      (void)snprintf(m->names[i], NAME_SIZE, "n%zu.example", i);
    else if (i % 3 == 0)
      (void)snprintf(m->names[i], NAME_SIZE, "*.n%zu.example", i % 8);
    else if (i % 7 == 0)
      (void)snprintf(m->names[i], NAME_SIZE, "*.x%zu.n%zu.example", i % 3,
                     i % 8);
    else
      (void)snprintf(m->names[i], NAME_SIZE, "x%zu.n%zu.example", parent,
                     i % 8);
  }
}

static bool lists(const route *r, const char *host, size_t len) {
  for (size_t i = 0; i < route_host_count(r); i++) {
    size_t own_len;
    const char *own = route_host(r, i, &own_len);

    if (own_len == len && memcmp(own, host, len) == 0)
      return true;
  }
  return false;
}

/* The slow way: the first app that lists it; else the longest pattern. */
static const route *model_find(const model *m, const char *host) {
  char key[300];
  const char *at = host;

  (void)snprintf(key, sizeof key, "%s", host);
  for (;;) {
    for (size_t i = 0; i < APPS; i++)
      if (m->held[i] != NULL && lists(m->held[i], key, strlen(key)))
        return m->held[i];
    at = strchr(at, '.');
    if (at == NULL)
      return NULL;
    (void)snprintf(key, sizeof key, "*%s", at);
    at++;
  }
}

static void model_check_one(const model *m, const char *host) {
  const route *want = model_find(m, host), *got;

  got = routes_find(m->s, host, strlen(host));
  if (got != want) {
    char wanted[NAME_MOST + 1];

    (void)snprintf(wanted, sizeof wanted, "%s", app_of(want));
    ck_abort_msg("after %zu changes %s is of \"%s\", not \"%s\"", m->changes,
                 host, app_of(got), wanted);
  }
}

/* So that a search ends, soon, and it is made anew as seldom as that allows. */
static void check_slots(const routes *s) {
  size_t held = 0, used = 0;

  for (size_t i = 0; i < s->index->size; i++) {
    uint64_t value = atomic_load(&s->index->slots[i]);

    held += value != SLOT_NEVER && value != SLOT_GONE;
    used += value != SLOT_NEVER;
  }
  ck_assert_uint_eq(s->held, held);
  ck_assert_uint_eq(s->used, used);
  ck_assert_uint_le(used * 8, s->index->size * 7);
}

static void model_check(const model *m) {
  char host[64];
  size_t hosts = 0, listed = 0;

  for (size_t i = 0; i < NAMES; i++) {
    const char *name = m->names[i];
    size_t of = 0;

    (void)snprintf(host, sizeof host, "q%s", name[0] == '*' ? name + 1 : name);
    model_check_one(m, host);
    if (name[0] != '*')
      model_check_one(m, name);
    for (size_t j = 0; j < i; j++)
      if (strcmp(m->names[j], name) == 0)
        goto next; /* counted already */
    for (size_t j = 0; j < APPS; j++)
      of += m->held[j] != NULL && lists(m->held[j], name, strlen(name));
    hosts += of != 0;
    listed += of;
  next:;
  }
  check_slots(m->s);
  ck_assert_uint_eq(routes_host_count(m->s), hosts);
  ck_assert_uint_eq(routes_shadow_count(m->s), listed - hosts);
}

static route *any_route(const model *m, size_t app) {
  char name[8], hosts[HOSTS_MOST * NAME_SIZE] = "";

  (void)snprintf(name, sizeof name, "a%02zu", app);
  for (size_t n = below(5); n != 0; n--)
    (void)strcat(strcat(hosts, " "), m->names[below(NAMES)]);
  return make(name, (int64_t)m->changes, hosts);
}

/* Everything again, in another order. */
static void model_renew(model *m) {
  routes *s = routes_new(m->t, below(2) * APPS);
  size_t first = below(APPS);

  ck_assert_ptr_nonnull(s);
  for (size_t i = 0; i < APPS; i++)
    if (m->held[(first + i) % APPS] != NULL)
      ck_assert(routes_put(s, m->held[(first + i) % APPS], NULL));
  table_publish(m->t, s);
  m->s = s;
}

static void model_change(model *m) {
  size_t app = below(APPS);
  route *was = m->held[app];

  m->changes++;
  if (below(500) == 0) {
    model_renew(m);
  } else if (was != NULL && below(3) == 0) {
    routes_drop(m->s, was);
    m->held[app] = NULL;
    table_retire(m->t, was, free);
  } else {
    m->held[app] = any_route(m, app);
    ck_assert(routes_put(m->s, m->held[app], was));
    table_retire(m->t, was, free);
  }
}

START_TEST(test_table_any_order_of_changes_is_as_the_list_says) {
  static model m;
  size_t changes = cft_is_slow() ? 10000 : 100000;

  seed = 1;
  m.t = table_new();
  m.s = table_current(m.t);
  model_names(&m);
  while (m.changes < changes) {
    model_change(&m);
    if (m.changes % 16 == 0)
      model_check(&m);
    else
      model_check_one(&m, m.names[8 + below(4) * 3 + 2]);
  }
  table_free(m.t);
  for (size_t i = 0; i < APPS; i++)
    free(m.held[i]);
}
END_TEST

START_TEST(test_table_comings_and_goings_do_not_fill_it) {
  table *t = table_new();
  routes *s = table_current(t);
  route *held[100] = {NULL};
  char app[16], host[32];
  int count = cft_is_slow() ? 20000 : 200000;
  size_t most = 0;

  for (int i = 0; i < count; i++) {
    route **r = &held[i % 100];

    if (*r != NULL) {
      routes_drop(s, *r);
      table_retire(t, *r, free);
    }
    (void)snprintf(app, sizeof app, "a%d", i);
    (void)snprintf(host, sizeof host, "h%d.example", i);
    *r = put(s, app, host, NULL);
    if (routes_bytes(s) > most)
      most = routes_bytes(s);
  }
  ck_assert_uint_eq(routes_host_count(s), 100);
  ck_assert_uint_lt(most, 4000);
  table_reclaim(t);
  ck_assert_uint_eq(table_waiting(t), 0);
  for (int i = 0; i < 100; i++) {
    ck_assert_ptr_eq(routes_find(s, "h.example", 9), NULL);
    routes_drop(s, held[i]);
    free(held[i]);
  }
  /* Empty, and each slot as new, or a search would not end. */
  ck_assert_uint_eq(routes_host_count(s), 0);
  table_free(t);
}
END_TEST

START_TEST(test_table_one_at_a_time_needs_no_other_array) {
  table *t = table_new();
  routes *s = table_current(t);
  const table_index *index = s->index;
  char host[32];

  for (int i = 0; i < 10000; i++) {
    route *r;

    (void)snprintf(host, sizeof host, "h%d.example", i);
    r = put(s, "a", host, NULL);
    routes_drop(s, r);
    free(r);
  }
  ck_assert_ptr_eq(s->index, index);
  check_slots(s);
  table_free(t);
}
END_TEST

START_TEST(test_table_hashes_are_not_the_same_twice) {
  table *t = table_new(), *u = table_new();

  ck_assert_mem_ne(&t->key, &u->key, sizeof t->key);
  table_free(t);
  table_free(u);
}
END_TEST

/* ---- what is freed when ---- */

static int freed;

static void count_freed(void *p) {
  freed++;
  free(p);
}

static void retire_one(table *t) {
  table_retire(t, cft_calloc(1, 8), count_freed);
}

START_TEST(test_table_what_a_reader_may_see_is_kept) {
  table *t = table_new();

  freed = 0;
  retire_one(t);
  ck_assert_uint_eq(table_waiting(t), 1);
  table_reclaim(t);
  ck_assert_int_eq(freed, 1); /* nobody reads */

  table_online(t, 3);
  table_online(t, TABLE_READERS - 1);
  retire_one(t);
  table_reclaim(t);
  ck_assert_int_eq(freed, 1);
  table_quiet(t, 3);
  table_reclaim(t);
  ck_assert_int_eq(freed, 1); /* the other one has not come round */
  table_offline(t, TABLE_READERS - 1);
  table_reclaim(t);
  ck_assert_int_eq(freed, 2);

  retire_one(t);
  table_online(t, 5); /* came later, and cannot have seen it */
  table_quiet(t, 3);
  retire_one(t);
  table_reclaim(t);
  ck_assert_int_eq(freed, 3);
  ck_assert_uint_eq(table_waiting(t), 1);
  table_offline(t, 3);
  table_reclaim(t);
  ck_assert_int_eq(freed, 3);
  table_offline(t, 5);
  table_reclaim(t);
  ck_assert_int_eq(freed, 4);
  ck_assert_uint_eq(table_waiting(t), 0);
  table_retire(t, NULL, count_freed);
  ck_assert_uint_eq(table_waiting(t), 0);
  table_free(t);
}
END_TEST

START_TEST(test_table_much_that_waits_is_freed_in_order) {
  table *t = table_new();

  freed = 0;
  table_online(t, 0);
  for (int i = 0; i < 1000; i++) {
    retire_one(t);
    if (i == 499)
      table_quiet(t, 0);
  }
  table_reclaim(t);
  ck_assert_int_eq(freed, 500);
  for (int i = 0; i < 1000; i++)
    retire_one(t);
  ck_assert_uint_eq(table_waiting(t), 1500);
  for (int i = 0; i < 10000; i++)
    retire_one(t);
  ck_assert_uint_ge(t->room, 11500);
  table_offline(t, 0);
  retire_one(t); /* without a call for it, too, soon */
  for (int i = 0; i < 40; i++)
    retire_one(t);
  ck_assert_uint_lt(table_waiting(t), 41);
  table_reclaim(t);
  ck_assert_uint_lt(t->room, 11500); /* what remembers it, too */
  retire_one(t);
  table_free(t);
  ck_assert_int_eq(freed, 12042);
}
END_TEST

START_TEST(test_table_the_words_for_all_are_there_until_they_are_read) {
  table *t = table_new();
  table_notice full = {.full = true, .msg = "back at noon"},
               off = {.full = false};
  const table_notice *seen;

  ck_assert(!table_is_ready(t));
  table_set_ready(t, true);
  ck_assert(table_is_ready(t));
  table_online(t, 0);
  ck_assert(!table_get_notice(t)->full);
  ck_assert(table_set_notice(t, &full));
  seen = table_get_notice(t);
  ck_assert(seen->full);
  ck_assert_str_eq(seen->msg, "back at noon");
  ck_assert(table_set_notice(t, &off));
  ck_assert(!table_get_notice(t)->full);
  table_reclaim(t);
  ck_assert_str_eq(seen->msg, "back at noon");
  table_free(t);
}
END_TEST

/* ---- no memory ---- */

START_TEST(test_table_without_memory_nothing_has_changed) {
  table *t = table_new();
  routes *s = table_current(t);
  route *r[200], *other;
  table_notice full = {.full = true};
  size_t held = 0;
  char app[16], host[32];
  bool said;

  for (size_t i = 0; i < 200; i++) {
    (void)snprintf(app, sizeof app, "a%zu", i);
    (void)snprintf(host, sizeof host, "h%zu.example", i);
    r[i] = make(app, 1, host);
  }
  out_of_memory = true;
  while (held < 200 && routes_put(s, r[held], NULL))
    held++;
  said = table_set_notice(t, &full) || routes_new(t, 0) != NULL ||
         table_new() != NULL || route_make(&(route_doc){.app = "a"}) != NULL;
  out_of_memory = false; /* check needs some */
  ck_assert(!said);
  ck_assert_uint_lt(held, 200);
  ck_assert_uint_eq(routes_host_count(s), held);
  ck_assert(!table_get_notice(t)->full);
  for (size_t i = 0; i < 200; i++) {
    (void)snprintf(host, sizeof host, "h%zu.example", i);
    ck_assert_ptr_eq(table_find(t, host, strlen(host)), i < held ? r[i] : NULL);
  }
  for (; held < 200; held++)
    ck_assert(routes_put(s, r[held], NULL));
  other = make("b", 1, "h0.example");
  ck_assert(routes_put(s, other, NULL));
  out_of_memory = true; /* what goes needs none */
  for (size_t i = 0; i < 200; i++)
    routes_drop(s, r[i]);
  out_of_memory = false;
  CHECK_HOST(t, "h0.example", "b");
  table_free(t);
  for (size_t i = 0; i < 200; i++)
    free(r[i]);
  free(other);
}
END_TEST

START_TEST(test_table_without_memory_what_goes_is_freed_at_once) {
  table *t = table_new();
  void *p = cft_calloc(1, 8);

  freed = 0;
  out_of_memory = true; /* nobody reads, so there is nobody to wait for */
  table_retire(t, p, count_freed);
  out_of_memory = false;
  ck_assert_int_eq(freed, 1);
  ck_assert_uint_eq(table_waiting(t), 0);
  table_free(t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("balancer_table");
  TCase *t = tcase_create("balancer_table");

  tcase_add_test(t, test_table_hosts_are_found_as_visitors_write_them);
  tcase_add_test(t, test_table_a_host_that_is_too_long_is_none);
  tcase_add_test(t, test_table_patterns_match_where_nothing_longer_does);
  tcase_add_test(t, test_table_a_host_of_two_is_the_lower_name_s);
  tcase_add_test(t, test_table_in_place_of_another_name_the_order_holds);
  tcase_add_test(t, test_table_a_host_that_is_listed_twice_is_one);
  tcase_add_test(t, test_table_any_order_of_changes_is_as_the_list_says);
  tcase_add_test(t, test_table_comings_and_goings_do_not_fill_it);
  tcase_add_test(t, test_table_one_at_a_time_needs_no_other_array);
  tcase_add_test(t, test_table_hashes_are_not_the_same_twice);
  tcase_add_test(t, test_table_what_a_reader_may_see_is_kept);
  tcase_add_test(t, test_table_much_that_waits_is_freed_in_order);
  tcase_add_test(t, test_table_the_words_for_all_are_there_until_they_are_read);
  tcase_add_test(t, test_table_without_memory_nothing_has_changed);
  tcase_add_test(t, test_table_without_memory_what_goes_is_freed_at_once);
  suite_add_tcase(s, t);
  return cft_run(s);
}
