/* The table under readers: they look up all hosts, all the time, and read what
   they find, while one writer changes, replaces, takes away and publishes whole
   new sets. What a reader finds is a route of that host, whole, and never older
   than what that host had before; a host that is always there is always found;
   and all that was taken away is freed in the end, and not before.

   ctest: LABEL threads
   ctest: WRAP malloc */
#include "balancer/table.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
  READERS = 4,
  APPS = 64,
  CHANGES = 20000,
  CHANGES_SLOW = 4000,
  WAIT_MS = 60000
};

/* Only of the thread that says so. */
static _Thread_local bool out_of_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size) {
  return out_of_memory ? NULL : __real_malloc(size);
}

static void name_host(char out[32], size_t app) {
  (void)snprintf(out, 32, "h%zu.example", app);
}

/* App i is at h<i>.example, but odd ones are away at times; at a pattern; and
   at one host that all of them want. The claim's digits are its gen, so that
   half a route, or one that was freed, is seen. */
static route *make(size_t app, int64_t gen) {
  route_doc d;
  route *r;

  memset(&d, 0, sizeof d);
  (void)snprintf(d.app, sizeof d.app, "a%02zu", app);
  d.gen = gen;
  d.state = ROUTE_LIVE;
  name_host(d.hosts[0], app);
  (void)snprintf(d.hosts[1], sizeof d.hosts[1], "*.h%zu.example", app);
  (void)snprintf(d.hosts[2], sizeof d.hosts[2], "all.example");
  d.host_count = gen % 2 == 0 ? 3 : 2;
  (void)snprintf(d.to[0].addr, sizeof d.to[0].addr, "127.1.0.%zu:4000", app);
  (void)snprintf(d.to[0].claim, sizeof d.to[0].claim, "%032llx",
                 (unsigned long long)gen);
  d.to_count = 1;
  r = route_make(&d);
  ck_assert_ptr_nonnull(r);
  return r;
}

/* Poisoned, for builds that do not see it otherwise. */
static _Atomic size_t freed;

static void free_route(void *p) {
  memset(p, 0xee, route_size(p));
  free(p);
  atomic_fetch_add(&freed, 1);
}

/* ---- readers ---- */

typedef struct reading {
  table *t;
  _Atomic bool *stop;
  unsigned number;
  uint64_t rounds;
  int64_t seen[2][APPS]; /* gens, by name and by pattern */
  const char *wrong;
} reading;

static const char *check_route(const route *r, size_t app, int64_t *seen) {
  char want[ROUTE_CLAIM_MOST + 1], host[32];
  route_target target;
  const char *own;
  size_t len;
  int64_t gen = route_gen(r);

  route_target_at(r, 0, &target);
  (void)snprintf(want, sizeof want, "a%02zu/%032llx", app,
                 (unsigned long long)gen);
  if (strcmp(target.claim, want) != 0)
    return "what was found is another app's, or not whole";
  name_host(host, app);
  own = route_host(r, 0, &len);
  if (len != strlen(host) || memcmp(own, host, len) != 0)
    return "what was found has another host";
  if (gen < *seen)
    return "what was found is older than before";
  *seen = gen;
  return NULL;
}

static const char *read_all(reading *r) {
  char host[40];

  for (size_t app = 0; app < APPS; app++) {
    const route *found;
    const char *wrong;

    name_host(host, app);
    if (r->rounds % 2 == 1)
      (void)snprintf(host, sizeof host, "X.H%zu.Example.:80", app);
    found = table_find(r->t, host, strlen(host));
    if (found == NULL && app % 2 == 0)
      return "what is always there was not found";
    wrong = found != NULL
                ? check_route(found, app, &r->seen[r->rounds % 2][app])
                : NULL;
    if (wrong != NULL)
      return wrong;
  }
  /* Of many; a00 is always there, but does not always want it. */
  if (table_find(r->t, "all.example", 11) == NULL)
    return "what many want was not found";
  if (table_find(r->t, "none.example", 12) != NULL)
    return "what is not there was found";
  return NULL;
}

static void *read_on(void *ctx) {
  reading *r = ctx;

  table_online(r->t, r->number);
  while (!atomic_load(r->stop) && r->wrong == NULL) {
    r->wrong = read_all(r);
    r->rounds++;
    if (r->rounds % 64 == 0) {
      table_offline(r->t, r->number);
      table_online(r->t, r->number);
    } else {
      table_quiet(r->t, r->number);
    }
  }
  table_offline(r->t, r->number);
  return NULL;
}

/* ---- the writer ---- */

typedef struct writing {
  table *t;
  route *held[APPS], *wide;
  char host[HOST_MOST + 1]; /* of the wide one */
  int64_t gen;
  size_t retired;
} writing;

static void retire(writing *w, route *r) {
  if (r == NULL)
    return;
  table_retire(w->t, r, free_route);
  w->retired++;
}

static void put_one(writing *w, size_t app) {
  route *was = w->held[app];

  /* Of a00 and a02 one always wants what all want. */
  w->gen += app == 0 || app == 2 ? 2 : 1;
  if (app == 0 || app == 2)
    w->gen += w->gen % 2;
  w->held[app] = make(app, w->gen);
  ck_assert(routes_put(table_current(w->t), w->held[app], was));
  retire(w, was);
}

static void drop_one(writing *w, size_t app) {
  if (w->held[app] == NULL)
    return;
  routes_drop(table_current(w->t), w->held[app]);
  retire(w, w->held[app]);
  w->held[app] = NULL;
}

/* Another set, of routes that are all new. */
static void renew(writing *w) {
  routes *s = routes_new(w->t, 0);
  route *old[APPS];

  ck_assert_ptr_nonnull(s);
  w->gen += 2 - w->gen % 2;
  for (size_t app = APPS; app-- != 0;) {
    old[app] = w->held[app];
    if (old[app] == NULL)
      continue;
    w->held[app] = make(app, w->gen);
    ck_assert(routes_put(s, w->held[app], NULL));
  }
  table_publish(w->t, s);
  for (size_t app = 0; app < APPS; app++)
    retire(w, old[app]);
}

/* One with many hosts that nobody knew, so that the set has to grow. */
static void put_wide(writing *w, size_t i) {
  route_doc d;
  route *was = w->wide;

  memset(&d, 0, sizeof d);
  (void)snprintf(d.app, sizeof d.app, "wide");
  for (d.host_count = 0; d.host_count < HOSTS_MOST; d.host_count++)
    (void)snprintf(d.hosts[d.host_count], sizeof d.hosts[0], "w%zu-%zu.example",
                   i, d.host_count);
  w->wide = route_make(&d);
  ck_assert_ptr_nonnull(w->wide);
  /* A set that was published since does not have the one before. */
  if (was != NULL &&
      routes_find(table_current(w->t), w->host, strlen(w->host)) != was)
    ck_assert(routes_put(table_current(w->t), w->wide, NULL));
  else
    ck_assert(routes_put(table_current(w->t), w->wide, was));
  retire(w, was);
  (void)snprintf(w->host, sizeof w->host, "%s", d.hosts[0]);
}

static void change(writing *w, size_t i) {
  table_notice notice = {.full = i % 2 == 0, .msg = "soon"};

  if (i % 97 == 0)
    renew(w);
  else if (i % 101 == 0)
    ck_assert(table_set_notice(w->t, &notice));
  else if (i % 7 == 0)
    put_wide(w, i);
  else if (i % 5 == 0)
    drop_one(w, (i / 5 * 7 % APPS) | 1);
  else
    put_one(w, i * 13 % APPS);
  if (i % 500 == 0)
    (void)usleep(1); /* the readers' turn, on one processor, too */
}

START_TEST(test_table_readers_never_see_what_is_not) {
  size_t changes = cft_is_slow() ? CHANGES_SLOW : CHANGES;
  _Atomic bool stop = false;
  writing w = {.t = table_new(), .gen = 0};
  static reading readings[READERS];
  pthread_t threads[READERS];

  atomic_store(&freed, 0);
  for (size_t app = 0; app < APPS; app++)
    put_one(&w, app);
  for (unsigned i = 0; i < READERS; i++) {
    readings[i] = (reading){.t = w.t, .stop = &stop, .number = i * 7};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &readings[i]),
                     0);
  }
  for (size_t i = 1; i <= changes; i++)
    change(&w, i);
  atomic_store(&stop, true);
  for (unsigned i = 0; i < READERS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  for (unsigned i = 0; i < READERS; i++) {
    ck_assert_msg(readings[i].wrong == NULL, "%s", readings[i].wrong);
    ck_assert_uint_gt(readings[i].rounds, 0);
  }
  table_reclaim(w.t);
  ck_assert_uint_eq(table_waiting(w.t), 0);
  ck_assert_uint_eq(atomic_load(&freed), w.retired);
  table_free(w.t);
  for (size_t app = 0; app < APPS; app++)
    free(w.held[app]);
  free(w.wide);
}
END_TEST

/* ---- without memory to remember what goes ---- */

typedef struct holder {
  table *t;
  _Atomic int step; /* 1: it holds a route; 2: it may let go */
  _Atomic bool let_go;
  const route *found;
} holder;

static bool is_at(holder *h, int step) {
  int64_t end_ms = cft_now_ms() + WAIT_MS;

  while (atomic_load(&h->step) < step)
    if (cft_now_ms() > end_ms || usleep(100) != 0)
      return false;
  return true;
}

static void *hold(void *ctx) {
  holder *h = ctx;

  table_online(h->t, 1);
  h->found = table_find(h->t, "h1.example", 10);
  atomic_store(&h->step, 1);
  (void)is_at(h, 2);
  for (int i = 0; i < 200; i++) { /* it is looked at for a while still */
    int64_t seen = 0;

    if (check_route(h->found, 1, &seen) != NULL)
      h->found = NULL;
    (void)usleep(100);
  }
  atomic_store(&h->let_go, true);
  table_quiet(h->t, 1);
  (void)is_at(h, 3);
  table_offline(h->t, 1);
  return NULL;
}

START_TEST(test_table_without_memory_the_writer_waits_for_the_readers) {
  holder h = {.t = table_new()};
  writing w = {.t = h.t};
  pthread_t thread;
  bool let_go;

  put_one(&w, 1);
  ck_assert_int_eq(pthread_create(&thread, NULL, hold, &h), 0);
  ck_assert(is_at(&h, 1));
  routes_drop(table_current(w.t), w.held[1]);
  atomic_store(&freed, 0);
  atomic_store(&h.step, 2);
  out_of_memory = true;
  table_retire(w.t, w.held[1], free_route);
  out_of_memory = false;
  let_go = atomic_load(&h.let_go);
  atomic_store(&h.step, 3);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_msg(let_go, "it has not waited");
  ck_assert_msg(h.found != NULL, "it was freed under a reader");
  ck_assert_uint_eq(atomic_load(&freed), 1);
  ck_assert_uint_eq(table_waiting(w.t), 0);
  table_free(w.t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("balancer_table_threads");
  TCase *t = tcase_create("balancer_table_threads");

  tcase_add_test(t, test_table_readers_never_see_what_is_not);
  tcase_add_test(t, test_table_without_memory_the_writer_waits_for_the_readers);
  suite_add_tcase(s, t);
  return cft_run(s);
}
