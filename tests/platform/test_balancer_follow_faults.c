/* Three followers of one database whose feeds repeat, reorder, rewind, tell old
   revisions, are cut, sliced, refused and fall silent, while routes come, move
   and go: no gen goes back on the way, and in the end all three have what the
   database has, and needed no repair for it.

   ctest: LABEL threads */
#include "platform/support/follow_world.h"

enum { APPS = 24 };

static const char *const faults[] = {
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.5,\"do\":{\"repeat\":0.3,"
    "\"old\":0.2,\"reorder\":0.3}}",
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.2,\"do\":{\"rewind\":9,"
    "\"rewind_rows\":2}}",
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.2,\"do\":{\"cut_at\":700,"
    "\"cut_reset\":true}}",
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.1,\"do\":{\"slice\":7,"
    "\"slice_ms\":1}}",
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.1,\"do\":{\"end_rows\":4}"
    "}",
    "{\"kind\":\"changes\",\"times\":2,\"chance\":0.2,\"do\":{\"stall_rows\":3,"
    "\"stall_beats\":true}}",
    "{\"kind\":\"all_docs\",\"times\":-1,\"chance\":0.3,\"do\":{\"cut_at\":300}"
    "}",
    "{\"kind\":\"changes\",\"times\":-1,\"chance\":0.1,\"do\":{\"status\":503,"
    "\"error\":\"x\",\"reason\":\"y\"}}",
    "{\"kind\":\"db_info\",\"times\":-1,\"chance\":0.1,\"do\":{\"then\":"
    "\"reset\"}}",
};

static unsigned next(unsigned *seed) {
  *seed = *seed * 1103515245u + 12345u;
  return *seed >> 16;
}

/* What is there, so that writes need no luck. */
typedef struct apps {
  bool there[APPS];
  int64_t gen[APPS];
} apps;

static void write_one(follow_world *w, apps *a, unsigned *seed) {
  unsigned i = next(seed) % APPS;
  char app[16], id[32];

  (void)snprintf(app, sizeof app, "%c%u", i % 2 != 0 ? 'a' : 'x', i);
  (void)snprintf(id, sizeof id, "route:%s", app);
  if (a->there[i] && next(seed) % 6 == 0) {
    follow_delete(w, id);
    a->there[i] = false;
    return;
  }
  a->gen[i] += next(seed) % 3; /* it may be written again as it is */
  follow_put_route(w, app, a->gen[i]);
  a->there[i] = true;
}

static bool all_listed(follow_world *w, int count) {
  for (int i = 0; i < count; i++)
    if (!follow_now(&w->followers[i]).synced ||
        follow_now(&w->followers[i]).unproven != 0 ||
        !follow_is_listed(&w->followers[i]))
      return false;
  return true;
}

static void check_apps(follow_world *w, const apps *a) {
  char app[16];

  for (int f = 0; f < FOLLOWERS; f++)
    for (unsigned i = 0; i < APPS; i++) {
      (void)snprintf(app, sizeof app, "%c%u", i % 2 != 0 ? 'a' : 'x', i);
      ck_assert_int_eq(follow_served(&w->followers[f], app),
                       a->there[i] ? a->gen[i] : -1);
    }
}

static void run(unsigned seed, int writes) {
  follow_world w;
  apps a = {{false}, {0}};
  text rules = TEXT_INIT;

  follow_world_open(&w);
  for (int i = 0; i < 30; i++)
    write_one(&w, &a, &seed);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
    text_printf(&rules, "%s%s", i == 0 ? "[" : ",", faults[i]);
  text_str(&rules, "]");
  ck_assert(!rules.failed);
  cft_couchsim_rule(w.sim, "%s", rules.data);
  text_free(&rules);
  for (int i = 0; i < FOLLOWERS; i++) {
    follower *f = follower_new(&w, i);

    f->config.announce = true;
    f->config.stale_ms = 3000;
    follower_open(f);
  }
  for (int i = 0; i < writes; i++) {
    write_one(&w, &a, &seed);
    follow_world_for(&w, (int64_t)(next(&seed) % 12));
    if (next(&seed) % 40 == 0)
      cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  }
  cft_couchsim_no_rules(w.sim);
  FOLLOW_AWAIT(&w, all_listed(&w, FOLLOWERS));
  check_apps(&w, &a);
  for (int i = 0; i < FOLLOWERS; i++) {
    ck_assert_int_eq(w.followers[i].went_back, 0);
    ck_assert_uint_eq(follow_now(&w.followers[i]).repairs, 0);
    ck_assert_uint_eq(follow_now(&w.followers[i]).older, 0);
    ck_assert_uint_eq(follow_now(&w.followers[i]).unreadable, 0);
  }
  follow_world_close(&w);
}

START_TEST(test_follow_three_agree_whatever_the_feeds_do) {
  run(17u + (unsigned)_i * 101u, cft_is_slow() ? 150 : 400);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow_faults");
  TCase *c = tcase_create("faults");

  tcase_add_loop_test(c, test_follow_three_agree_whatever_the_feeds_do, 0, 3);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
