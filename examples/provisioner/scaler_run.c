/* The thread that makes drones and ends surplus ones. One provisioner of all
   does: the one that is responsible for the name "scaler". What it began is in
   the documents as soon as a drone has an address; what was lost before that is
   found again by asking the driver for what there is. */
#include "provisioner/driver.h"
#include "provisioner/kernel_state.h"
#include "provisioner/scaler.h"

#include "common/log.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  TICK_MS = 100,
  THINK_MS = 1000,
  LIST_MS = 60000,
  SURPLUS_MS = 300000,
  UNANSWERED_MS = 120000, /* a document that says booting, and nobody answers */
  RATE_SECONDS = 60,
  BOOTS = 32,  /* remembered */
  AT_ONCE = 8, /* boots of the driver's side by side */
  FIRST_BOOT_MS = 2000
};

struct scaler {
  kernel *k;
  driver *driver;
  worker w; /* its own connections; no worker otherwise */
  pthread_t thread;
  bool running;
  boot *boots;
  size_t boot_count;
  atomic_bool asked;
  atomic_uint accepted[RATE_SECONDS];
  _Atomic int64_t second; /* that accepted counts up to */
  int64_t took[BOOTS];
  size_t took_count;
  int failures;
  int64_t not_before_ms, thought_ms, listed_ms, surplus_ms;
};

/* ---- what is told by others ---- */

void scaler_ask(scaler *s) { s->asked = true; }

/* Seconds that passed since are emptied by whoever comes first. */
static void turn(scaler *s, int64_t second) {
  int64_t before = atomic_load(&s->second), i;

  if (second <= before ||
      !atomic_compare_exchange_strong(&s->second, &before, second))
    return;
  for (i = before + 1; i <= second && i <= before + RATE_SECONDS; i++)
    s->accepted[i % RATE_SECONDS] = 0;
}

void scaler_accepted(scaler *s) {
  int64_t second = mono_ms() / 1000;

  turn(s, second);
  s->accepted[second % RATE_SECONDS]++;
}

bool scaler_may_grow(scaler *s) {
  pool_counts counts;

  if (!driver_makes(s->driver))
    return false;
  pool_count(s->k->pool, &counts);
  return counts.all - counts.of[DRONE_DEAD] < s->k->config.drones_most ||
         counts.of[DRONE_BOOTING] != 0;
}

bool scaler_destroy(scaler *s, const drone_doc *d) {
  char why[400] = "";
  bool gone = driver_destroy(s->driver, d->addr, d->ctl, why, sizeof why);

  log_event(gone ? LOG_INFO : LOG_WARN, gone ? "destroy" : "destroy.failed",
            LS("drone", d->addr), LS("why", why));
  return gone;
}

/* ---- boots ---- */

static void took(scaler *s, int64_t ms) {
  s->took[s->took_count++ % BOOTS] = ms;
  metric_time(s->k->m.boot_time, ms);
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return x < y ? -1 : x > y;
}

static int64_t boot_p95(const scaler *s) {
  size_t count = s->took_count < BOOTS ? s->took_count : BOOTS;
  int64_t sorted[BOOTS];

  if (count == 0)
    return FIRST_BOOT_MS;
  memcpy(sorted, s->took, count * sizeof sorted[0]);
  qsort(sorted, count, sizeof sorted[0], ascending);
  return sorted[(count * 95 + 99) / 100 - 1];
}

/* Several that fail side by side fail for one reason: they count once. */
static void boot_failed(scaler *s, const char *why) {
  if (mono_ms() >= s->not_before_ms) {
    s->failures++;
    s->not_before_ms = mono_ms() + scaler_backoff_ms(s->failures);
  }
  metric_add(s->k->m.boot_failures, 1);
  log_event(LOG_ERROR, "boot.failed", LS("why", why),
            LN("again_ms", scaler_backoff_ms(s->failures)));
}

/* It is in the documents from now on: booting, until its agent answers. One
   that was given up before at the same address begins anew. */
static bool enter(scaler *s, const char *addr, const char *ctl) {
  drone_doc d, old;
  char key[KEY_MOST + 1];
  enum stored stored;

  memset(&d, 0, sizeof d);
  (void)snprintf(d.addr, sizeof d.addr, "%s", addr);
  (void)snprintf(d.ctl, sizeof d.ctl, "%s", ctl);
  d.state = DRONE_BOOTING;
  stored = store_read_drone(&s->w, addr, &old, false);
  if (stored == STORED) {
    if (old.state != DRONE_DEAD)
      return true;
    (void)snprintf(d.rev, sizeof d.rev, "%s", old.rev);
    d.epoch = old.epoch + 1;
  } else if (stored != STORED_MISSING) {
    return false;
  }
  stored = store_drone(&s->w, &d, NULL);
  if (stored != STORED)
    return stored == STORED_CLASH;
  (void)snprintf(key, sizeof key, "d:%s", addr);
  jobs_look(s->k->jobs, key);
  return true;
}

static void booted(scaler *s, boot *b) {
  s->failures = 0;
  metric_add(s->k->m.boots, 1);
  log_event(LOG_INFO, "boot", LS("drone", b->addr), LS("ctl", b->ctl),
            LN("ms", mono_ms() - b->began_ms));
  took(s, mono_ms() - b->began_ms);
  if (!enter(s, b->addr, b->ctl))
    log_event(LOG_WARN, "boot.not_entered", LS("drone", b->addr),
              LS("why", "the database did not take it; it is found again"));
}

static void look_at_boots(scaler *s) {
  boot **slot = &s->boots;
  char why[400];

  while (*slot != NULL) {
    boot *b = *slot;
    enum driver_boot now = driver_look(s->driver, b, why, sizeof why);

    if (now == DRIVER_BOOTING) {
      slot = &b->next;
      continue;
    }
    if (now == DRIVER_BOOTED)
      booted(s, b);
    else
      boot_failed(s, why);
    *slot = b->next;
    s->boot_count--;
    free(b);
  }
}

static void begin_boots(scaler *s, size_t count) {
  char why[400];

  while (count-- > 0 && s->boot_count < AT_ONCE &&
         mono_ms() >= s->not_before_ms) {
    boot *b = calloc(1, sizeof *b);

    if (b == NULL)
      return;
    if (!driver_begin(s->driver, b, why, sizeof why)) {
      free(b);
      boot_failed(s, why);
      return;
    }
    b->next = s->boots;
    s->boots = b;
    s->boot_count++;
  }
}

/* ---- what there should be ---- */

static void numbers(scaler *s, scaler_now *now) {
  pool_counts counts;
  unsigned accepted = 0;
  size_t i;

  turn(s, mono_ms() / 1000);
  for (i = 0; i < RATE_SECONDS; i++)
    accepted += s->accepted[i];
  pool_count(s->k->pool, &counts);
  memset(now, 0, sizeof *now);
  now->rate = (double)accepted / RATE_SECONDS;
  now->boot_ms = boot_p95(s);
  now->free = counts.of[DRONE_FREE];
  now->booting = counts.of[DRONE_BOOTING] + s->boot_count;
  now->waiting = counts.waiting;
  now->all = counts.all - counts.of[DRONE_DEAD] + s->boot_count;
  now->least = s->k->config.drones_least;
  now->most = s->k->config.drones_most;
}

typedef struct ending {
  scaler *s;
  size_t left;
} ending;

/* Nobody can claim a free drone once its document says dead. */
static void end_one(void *ctx, const drone_doc *seen) {
  ending *e = ctx;
  drone_doc d = *seen;

  if (e->left == 0 || d.state != DRONE_FREE)
    return;
  e->left--;
  d.state = DRONE_DEAD;
  d.epoch++;
  if (store_drone(&e->s->w, &d, NULL) != STORED)
    return;
  log_event(LOG_INFO, "surplus", LS("drone", d.addr));
  (void)scaler_destroy(e->s, &d);
}

static void shrink(scaler *s, const scaler_now *now) {
  size_t surplus = scaler_surplus(now);
  ending e = {s, surplus};

  if (surplus == 0 || !view_is_fresh(s->k->view)) {
    s->surplus_ms = 0;
    return;
  }
  if (s->surplus_ms == 0)
    s->surplus_ms = mono_ms();
  if (mono_ms() - s->surplus_ms < SURPLUS_MS)
    return;
  s->surplus_ms = 0;
  pool_each(s->k->pool, end_one, &e);
}

static void found(void *ctx, const char *addr, const char *ctl) {
  scaler *s = ctx;
  drone_doc d;
  boot *b;

  for (b = s->boots; b != NULL; b = b->next)
    if (strcmp(b->addr, addr) == 0)
      return;
  if (pool_get(s->k->pool, addr, &d))
    return;
  log_event(LOG_INFO, "found", LS("drone", addr), LS("ctl", ctl));
  (void)enter(s, addr, ctl);
}

static void list(scaler *s) {
  char why[400];

  if (!driver_list(s->driver, found, s, why, sizeof why))
    log_event(LOG_ERROR, "list.failed", LS("why", why));
}

/* Booting for too long: its document says so, and nobody answers there. */
static void end_unanswered(void *ctx, const drone_doc *seen) {
  scaler *s = ctx;
  drone_doc d = *seen;

  if (d.state != DRONE_BOOTING ||
      mono_ms() - pool_since_ms(s->k->pool, d.addr) < UNANSWERED_MS ||
      !scaler_destroy(s, &d))
    return;
  d.state = DRONE_DEAD;
  d.epoch++;
  if (store_drone(&s->w, &d, NULL) == STORED)
    boot_failed(s, "its agent did not answer");
}

static void think(scaler *s) {
  int64_t ms = mono_ms();
  scaler_now now;

  /* Before all drones were looked at once, it would make more for each start of
     the program. */
  if (!s->k->seen_all || !view_is_synced(s->k->view) ||
      !view_is_mine(s->k->view, "scaler"))
    return;
  if (s->listed_ms == 0 || ms - s->listed_ms > LIST_MS) {
    s->listed_ms = ms;
    list(s);
    if (view_is_fresh(s->k->view))
      pool_each(s->k->pool, end_unanswered, s);
  }
  numbers(s, &now);
  begin_boots(s, scaler_missing(&now));
  shrink(s, &now);
}

static void *run(void *ctx) {
  scaler *s = ctx;

  while (jobs_pause(s->k->jobs, TICK_MS)) {
    look_at_boots(s);
    if (mono_ms() - s->thought_ms < THINK_MS && !s->asked)
      continue;
    s->asked = false;
    s->thought_ms = mono_ms();
    kernel_gauges(s->k);
    if (driver_makes(s->driver))
      think(s);
  }
  return NULL;
}

/* ---- start and stop ---- */

scaler *scaler_start(kernel *k, char *error, size_t error_size) {
  driver_config config = {k->config.driver, k->config.driver_path,
                          k->config.driver_dir, k->config.driver_token_file,
                          k->config.driver_user};
  scaler *s = calloc(1, sizeof *s);
  rest_config database;

  if (s == NULL) {
    (void)snprintf(error, error_size, "Out of memory");
    return NULL;
  }
  s->k = k;
  s->w.k = k;
  s->second = mono_ms() / 1000;
  memset(&database, 0, sizeof database);
  database.url = k->config.couch;
  s->driver = driver_open(&config, error, error_size);
  if (s->driver != NULL)
    s->w.apps = docs_new(&database, k->config.apps, error, error_size);
  if (s->w.apps != NULL)
    s->w.locks = docs_new(&database, k->config.locks, error, error_size);
  if (s->w.locks != NULL) {
    s->running = pthread_create(&s->thread, NULL, run, s) == 0;
    if (!s->running)
      (void)snprintf(error, error_size, "No thread could be made");
  }
  if (s->running)
    return s;
  scaler_stop(s);
  return NULL;
}

/* Boots that are under way go on: whoever is next finds what came of them. */
void scaler_stop(scaler *s) {
  if (s == NULL)
    return;
  if (s->running)
    (void)pthread_join(s->thread, NULL);
  while (s->boots != NULL) {
    boot *b = s->boots;

    s->boots = b->next;
    if (b->output >= 0)
      (void)close(b->output);
    free(b);
  }
  docs_free(s->w.apps);
  docs_free(s->w.locks);
  driver_close(s->driver);
  free(s);
}
