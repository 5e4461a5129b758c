/*
 * How many drones there should be, and where they come from: the operator's
 * script, or processes of this machine.
 */
#include "provisioner/driver.h"
#include "provisioner/scaler.h"
#include "support/timing.h"
#include "support/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- numbers ---- */

START_TEST(test_scaler_low_is_what_is_asked_for_while_one_boots) {
  ck_assert_uint_eq(scaler_low(0, 0), 3);
  ck_assert_uint_eq(scaler_low(0.01, 2000), 3);
  ck_assert_uint_eq(scaler_low(1, 1000), 4);  /* 1 + 3 */
  ck_assert_uint_eq(scaler_low(2, 2000), 10); /* 4 + 6 */
  ck_assert_uint_eq(scaler_low(1, 2000), 7);  /* 2 + 4.24 */
  ck_assert_uint_eq(scaler_low(1, 100000), 130);
  ck_assert_uint_eq(scaler_low(-1, 1000), 3);
}
END_TEST

START_TEST(test_scaler_boots_in_flight_count_and_the_cap_holds) {
  scaler_now now = {0, 1000, 0, 0, 0, 0, 0, 64};

  ck_assert_uint_eq(scaler_missing(&now), 6); /* an empty pool: 2 * low */
  now.booting = now.all = 6;
  ck_assert_uint_eq(scaler_missing(&now), 0);
  now.free = 3;
  now.booting = 0;
  ck_assert_uint_eq(scaler_missing(&now), 0);
  now.free = 2;
  ck_assert_uint_eq(scaler_missing(&now), 4);
  now.waiting = 10;
  now.free = 0;
  ck_assert_uint_eq(scaler_missing(&now), 16);
  now.all = 60;
  ck_assert_uint_eq(scaler_missing(&now), 4);
  now.all = 64;
  ck_assert_uint_eq(scaler_missing(&now), 0);
  now.all = 70;
  ck_assert_uint_eq(scaler_missing(&now), 0);
  now = (scaler_now){0, 1000, 20, 0, 0, 20, 30, 64};
  ck_assert_uint_eq(scaler_missing(&now), 10); /* at least so many in all */
}
END_TEST

START_TEST(test_scaler_many_free_ones_are_too_many) {
  scaler_now now = {0, 1000, 9, 0, 0, 20, 0, 64};

  ck_assert_uint_eq(scaler_surplus(&now), 0);
  now.free = 10;
  ck_assert_uint_eq(scaler_surplus(&now), 4); /* down to 2 * low */
  now.least = 18;
  ck_assert_uint_eq(scaler_surplus(&now), 2);
  now.waiting = 1;
  ck_assert_uint_eq(scaler_surplus(&now), 0);
}
END_TEST

START_TEST(test_scaler_failed_boots_back_off) {
  ck_assert_int_eq(scaler_backoff_ms(0), 0);
  ck_assert_int_eq(scaler_backoff_ms(1), 10000);
  ck_assert_int_eq(scaler_backoff_ms(2), 20000);
  ck_assert_int_eq(scaler_backoff_ms(6), 300000);
  ck_assert_int_eq(scaler_backoff_ms(1000000), 300000);
}
END_TEST

/* ---- drivers ---- */

static char dir[] = "/tmp/test_scaler.XXXXXX", script[64];
static char why[512];

static void begin(void) { ck_assert_ptr_nonnull(mkdtemp(dir)); }

static void end(void) {
  char command[128];

  (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
  ck_assert_int_eq(system(command), 0);
}

static driver *open_with(const char *kind, const char *body) {
  driver_config config = {kind, script, NULL, NULL, NULL};
  char drones[64];
  driver *d;
  FILE *f;

  (void)snprintf(script, sizeof script, "%s/script", dir);
  (void)snprintf(drones, sizeof drones, "%s/drones", dir);
  config.dir = drones;
  config.token_file = "/dev/null";
  config.user = geteuid() == 0 ? "root" : NULL;
  f = fopen(script, "w");
  ck_assert_ptr_nonnull(f);
  (void)fprintf(f, "#!/bin/sh\n%s", body);
  ck_assert_int_eq(fclose(f), 0);
  ck_assert_int_eq(chmod(script, 0700), 0);
  d = driver_open(&config, why, sizeof why);
  ck_assert_msg(d != NULL, "%s", why);
  return d;
}

static enum driver_boot boot_one(driver *d, boot *b) {
  int64_t until = cft_now_ms() + 15000;
  enum driver_boot now;

  memset(b, 0, sizeof *b);
  ck_assert_msg(driver_begin(d, b, why, sizeof why), "%s", why);
  while ((now = driver_look(d, b, why, sizeof why)) == DRIVER_BOOTING) {
    ck_assert_int_lt(cft_now_ms(), until);
    (void)usleep(5000);
  }
  return now;
}

static const struct {
  const char *body, *says; /* NULL: it is fine */
} scripts[] = {
    {"echo 10.0.0.7:80 10.0.0.7:81\n", NULL},
    {"printf '10.0.0.7:80 10.0.0.7:81'\n", NULL},
    {"echo 10.0.0.7:80\n", "\"10.0.0.7:80\""},
    {"echo hello world\n", "hello world"},
    {"echo 10.0.0.7:80 10.0.0.7:81; echo more\n", "one line"},
    {":\n", "one line"},
    {"exit 3\n", "ended with 3"},
    {"kill -9 $$\n", "signal 9"},
    {"head -c 100000 /dev/zero\n", "create"},
};

START_TEST(test_scaler_a_script_says_one_line) {
  driver *d;
  boot b;
  enum driver_boot now;

  begin();
  d = open_with("exec", scripts[_i].body);
  now = boot_one(d, &b);
  if (scripts[_i].says == NULL) {
    ck_assert_msg(now == DRIVER_BOOTED, "%s", why);
    ck_assert_str_eq(b.addr, "10.0.0.7:80");
    ck_assert_str_eq(b.ctl, "10.0.0.7:81");
  } else {
    ck_assert_int_eq(now, DRIVER_FAILED);
    ck_assert_msg(strstr(why, scripts[_i].says) != NULL, "%s", why);
  }
  driver_close(d);
  end();
}
END_TEST

static int listed;
static char last[128];

static void each(void *ctx, const char *addr, const char *ctl) {
  (void)ctx;
  listed++;
  (void)snprintf(last, sizeof last, "%s %s", addr, ctl);
}

START_TEST(test_scaler_a_script_lists_and_destroys_by_arguments) {
  driver *d;

  begin();
  /* What it gets of our environment is not more than it needs. */
  ck_assert_int_eq(setenv("DATABASE_PASSWORD", "secret", 1), 0);
  d = open_with("exec",
                "case $1 in\n"
                "list) echo 10.0.0.1:1 10.0.0.1:2; echo 10.0.0.2:1 "
                "10.0.0.2:2;;\n"
                "destroy) test \"$2 $3\" = '10.0.0.1:1 10.0.0.1:2' && test -z "
                "\"$DATABASE_PASSWORD\";;\n"
                "esac\n");
  listed = 0;
  ck_assert_msg(driver_list(d, each, NULL, why, sizeof why), "%s", why);
  ck_assert_int_eq(listed, 2);
  ck_assert_str_eq(last, "10.0.0.2:1 10.0.0.2:2");
  ck_assert_msg(driver_destroy(d, "10.0.0.1:1", "10.0.0.1:2", why, sizeof why),
                "%s", why);
  ck_assert(!driver_destroy(d, "10.0.0.3:1", "10.0.0.3:2", why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "destroy ended with 1"));
  driver_close(d);
  d = open_with("exec", "echo nonsense\n");
  ck_assert(!driver_list(d, each, NULL, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "nonsense"));
  driver_close(d);
  end();
}
END_TEST

/* A drone that says where it is and stays; its address is in its arguments. */
#define DRONE                                                                  \
  "addr= ports=\n"                                                             \
  "while [ $# -gt 0 ]; do\n"                                                   \
  "  case $1 in --addr) addr=${2%:0}; shift;; --port-file) ports=$2; shift;; " \
  "esac\n"                                                                     \
  "  shift\n"                                                                  \
  "done\n"                                                                     \
  "printf 'guard %s:4000\\nctl %s:4001\\n' $addr $addr >$ports.new\n"          \
  "mv $ports.new $ports\n"                                                     \
  "exec sleep 600\n"

START_TEST(test_scaler_a_local_drone_outlives_its_driver_until_destroyed) {
  driver *d;
  boot b;

  begin();
  d = open_with("local", DRONE);
  ck_assert_int_eq(boot_one(d, &b), DRIVER_BOOTED);
  ck_assert_int_eq(strncmp(b.addr, "127.1.", 6), 0);
  ck_assert_int_eq(getsid(b.pid), b.pid);
  driver_close(d);
  d = open_with("local", DRONE); /* a restarted provisioner */
  listed = 0;
  ck_assert(driver_list(d, each, NULL, why, sizeof why));
  ck_assert_int_eq(listed, 1);
  ck_assert_int_eq(strncmp(last, b.addr, strlen(b.addr)), 0);
  ck_assert_msg(driver_destroy(d, b.addr, b.ctl, why, sizeof why), "%s", why);
  ck_assert_int_ne(kill(b.pid, 0), 0);
  ck_assert_int_ne(access(b.place, F_OK), 0);
  ck_assert(driver_list(d, each, NULL, why, sizeof why));
  ck_assert_int_eq(listed, 1);
  ck_assert(driver_destroy(d, b.addr, b.ctl, why, sizeof why)); /* was */
  driver_close(d);
  end();
}
END_TEST

START_TEST(test_scaler_a_stopped_local_drone_is_destroyed_all_the_same) {
  driver *d;
  boot b;

  begin();
  d = open_with("local", "trap '' TERM\n" DRONE);
  ck_assert_int_eq(boot_one(d, &b), DRIVER_BOOTED);
  ck_assert_int_eq(kill(b.pid, SIGSTOP), 0);
  ck_assert_msg(driver_destroy(d, b.addr, b.ctl, why, sizeof why), "%s", why);
  ck_assert_int_ne(kill(b.pid, 0), 0);
  driver_close(d);
  end();
}
END_TEST

START_TEST(test_scaler_a_local_drone_that_ends_says_why) {
  driver *d;
  boot b;

  begin();
  d = open_with("local", "echo first; echo the port is taken >&2; exit 1\n");
  ck_assert_int_eq(boot_one(d, &b), DRIVER_FAILED);
  ck_assert_msg(strstr(why, "the port is taken") != NULL, "%s", why);
  ck_assert_int_ne(access(b.place, F_OK), 0);
  driver_close(d);
  end();
}
END_TEST

START_TEST(test_scaler_a_driver_that_cannot_be_is_refused) {
  driver_config config = {"cloud", NULL, NULL, NULL, NULL};

  ck_assert_ptr_null(driver_open(&config, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "cloud"));
  config.kind = "exec";
  ck_assert_ptr_null(driver_open(&config, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "--driver-path"));
  config.path = "/nonexistent/script";
  ck_assert_ptr_null(driver_open(&config, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "/nonexistent/script"));
  config.kind = "local";
  config.path = "/bin/true";
  ck_assert_ptr_null(driver_open(&config, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "directory"));
  config.dir = dir;
  config.token_file = "/dev/null";
  config.user = geteuid() == 0 ? NULL : "nobody";
  ck_assert_ptr_null(driver_open(&config, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, geteuid() == 0 ? "--drone-user" : "root"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scaler");
  TCase *tc = tcase_create("scaler");

  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_scaler_low_is_what_is_asked_for_while_one_boots);
  tcase_add_test(tc, test_scaler_boots_in_flight_count_and_the_cap_holds);
  tcase_add_test(tc, test_scaler_many_free_ones_are_too_many);
  tcase_add_test(tc, test_scaler_failed_boots_back_off);
  tcase_add_loop_test(tc, test_scaler_a_script_says_one_line, 0,
                      (int)(sizeof scripts / sizeof scripts[0]));
  tcase_add_test(tc, test_scaler_a_script_lists_and_destroys_by_arguments);
  tcase_add_test(tc,
                 test_scaler_a_local_drone_outlives_its_driver_until_destroyed);
  tcase_add_test(tc,
                 test_scaler_a_stopped_local_drone_is_destroyed_all_the_same);
  tcase_add_test(tc, test_scaler_a_local_drone_that_ends_says_why);
  tcase_add_test(tc, test_scaler_a_driver_that_cannot_be_is_refused);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
