/*
 * The kernel with an operator's script: drones are made until there are enough,
 * one that does not answer is ended by the script, and its app moves.
 */
#include "platform/support/prov.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DRONES = 3 };

static cft_couchsim *sim;
static drone_sim *drones[DRONES];
static prov *p1;
static store db;

static drone_sim *drone_at(const char *addr) {
  size_t i;

  for (i = 0; i < DRONES; i++)
    if (strcmp(drone_sim_addr(drones[i]), addr) == 0)
      return drones[i];
  ck_abort_msg("there is no drone %s", addr);
}

static char dir[] = "/tmp/test_kernel.XXXXXX";

static bool has_line(const char *name, const char *line) {
  char path[128], read[256];
  bool found = false;
  FILE *f;

  (void)snprintf(path, sizeof path, "%s/%s", dir, name);
  f = fopen(path, "r");
  while (f != NULL && !found && fgets(read, sizeof read, f) != NULL)
    found = strncmp(read, line, strlen(line)) == 0;
  if (f != NULL)
    (void)fclose(f);
  return found;
}

/* "create" hands out what stands in the file "spare", line by line. */
static void write_script(size_t count) {
  char path[128];
  FILE *f;
  size_t i;

  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(path, sizeof path, "%s/spare", dir);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  for (i = 0; i < count; i++)
    (void)fprintf(f, "%s %s\n", drone_sim_addr(drones[i]),
                  drone_sim_ctl(drones[i]));
  ck_assert_int_eq(fclose(f), 0);
  (void)snprintf(path, sizeof path, "%s/script", dir);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  (void)fprintf(f,
                "#!/bin/sh\n"
                "cd %s || exit 1\n"
                "exec 9>lock; flock 9\n"
                "case $1 in\n"
                "create) head -n 1 spare | grep . || exit 1\n"
                "  sed -i 1d spare;;\n"
                "destroy) echo \"$2 $3\" >>destroyed;;\n"
                "esac\n",
                dir);
  ck_assert_int_eq(fclose(f), 0);
  ck_assert_int_eq(chmod(path, 0700), 0);
}

static void remove_script(void) {
  static const char *const names[] = {"spare", "script", "lock", "destroyed"};
  char path[128];
  size_t i;

  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    (void)unlink(path);
  }
  ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(test_kernel_driver_drones_are_made_and_ended_by_a_script) {
  kernel_config config;
  char path[128], line[160];
  route_doc r;
  drone_doc d;
  size_t i;

  memset(&config, 0, sizeof config);
  sim = cft_couchsim_start(NULL);
  for (i = 0; i < DRONES; i++)
    drones[i] = drone_sim_start();
  write_script(DRONES);
  (void)snprintf(path, sizeof path, "%s/script", dir);
  config.driver = "exec";
  config.driver_path = path;
  config.drones_most = DRONES;
  p1 = prov_start(cft_couchsim_url(sim, 0), "p1", &config);
  store_open(&db, cft_couchsim_url(sim, 0));
  for (i = 0; i < DRONES; i++)
    store_await_drone(&db, drone_sim_addr(drones[i]), DRONE_FREE, &d);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  drone_sim_mute(drone_at(r.to[0].addr), true);
  store_await_drone(&db, r.to[0].addr, DRONE_DEAD, &d);
  (void)snprintf(line, sizeof line, "%s %s", d.addr, d.ctl);
  ck_assert_msg(has_line("destroyed", line), "%s was not destroyed", line);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  ck_assert(drone_sim_serves(drone_at(r.to[0].addr), "blog", r.to[0].claim));
  prov_stop(p1);
  store_close(&db);
  for (i = 0; i < DRONES; i++)
    drone_sim_stop(drones[i]);
  cft_couchsim_stop(sim);
  remove_script();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("kernel_driver");
  TCase *tc = tcase_create("kernel_driver");

  tcase_set_timeout(tc, 100);
  tcase_add_test(tc, test_kernel_driver_drones_are_made_and_ended_by_a_script);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
