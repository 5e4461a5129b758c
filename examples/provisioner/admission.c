/* Who may ask for what, how often; see admission.h. Tokens are kept in units of
   which so many make a token as it takes milliseconds to grow, so that nothing
   is lost or won by rounding, however often is asked. An app that was not asked
   for longest is forgotten first: by then its tokens have grown back, unless
   apps_most is small for the load. */
#include "provisioner/admission.h"

#include "common/ids.h"
#include <stdlib.h>
#include <string.h>

enum {
  SECOND = 1000,
  BUCKETS = 4096,
  STRAINED_MS = 2000,
  STRAINED_ERRORS = 10
};

static const int64_t NEVER = INT64_MIN / 2;

typedef struct account {
  char app[NAME_MOST + 1];
  struct account *next;            /* of one hash */
  struct account *older, *younger; /* by when it was asked for last */
  int64_t units, filled_ms;        /* app_every_ms units: a token */
  int64_t asked_ms, forced_ms;
} account;

struct admission {
  admission_config config;
  account *table[BUCKETS];
  account *oldest, *youngest;
  size_t count;
  int64_t units, filled_ms; /* of all: SECOND units are a token */
  int rate;
  int64_t now_ms; /* the latest that was handed in: never goes back */
};

static void set_defaults(admission_config *c) {
  if (c->app_every_ms <= 0)
    c->app_every_ms = 10000;
  if (c->app_burst <= 0)
    c->app_burst = 3;
  if (c->ensure_ms <= 0)
    c->ensure_ms = 60000;
  if (c->force_ms <= 0)
    c->force_ms = 60000;
  if (c->rate <= 0)
    c->rate = 50;
  if (c->rate_least <= 0)
    c->rate_least = 1;
  if (c->rate_least > c->rate)
    c->rate_least = c->rate;
  if (c->queue_most == 0)
    c->queue_most = 1000;
  if (c->apps_most == 0)
    c->apps_most = 100000;
}

admission *admission_new(const admission_config *config) {
  admission *a = calloc(1, sizeof *a);

  if (a == NULL)
    return NULL;
  a->config = *config;
  set_defaults(&a->config);
  a->rate = a->config.rate;
  a->filled_ms = a->now_ms = NEVER;
  return a;
}

void admission_free(admission *a) {
  if (a == NULL)
    return;
  while (a->oldest != NULL) {
    account *gone = a->oldest;

    a->oldest = gone->younger;
    free(gone);
  }
  free(a);
}

/* ---- accounts ---- */

static account **slot_of(admission *a, const char *app) {
  account **slot = &a->table[id_hash(app, strlen(app)) % BUCKETS];

  while (*slot != NULL && strcmp((*slot)->app, app) != 0)
    slot = &(*slot)->next;
  return slot;
}

static void unlink_age(admission *a, account *it) {
  if (it->older != NULL)
    it->older->younger = it->younger;
  else
    a->oldest = it->younger;
  if (it->younger != NULL)
    it->younger->older = it->older;
  else
    a->youngest = it->older;
}

static void link_youngest(admission *a, account *it) {
  it->younger = NULL;
  it->older = a->youngest;
  if (a->youngest != NULL)
    a->youngest->younger = it;
  else
    a->oldest = it;
  a->youngest = it;
}

static void forget_oldest(admission *a) {
  account *gone = a->oldest, **slot = slot_of(a, gone->app);

  *slot = gone->next;
  unlink_age(a, gone);
  free(gone);
  a->count--;
}

/* NULL for want of memory, or when that can be no app's name. */
static account *account_of(admission *a, const char *app) {
  account **slot, *it;
  size_t len = strlen(app);

  if (len > NAME_MOST)
    return NULL;
  slot = slot_of(a, app);
  it = *slot;
  if (it != NULL) {
    unlink_age(a, it);
    link_youngest(a, it);
    return it;
  }
  if (a->count >= a->config.apps_most) {
    forget_oldest(a);
    slot = slot_of(a, app);
  }
  it = calloc(1, sizeof *it);
  if (it == NULL)
    return NULL;
  memcpy(it->app, app, len + 1);
  it->filled_ms = it->asked_ms = it->forced_ms = NEVER;
  *slot = it;
  link_youngest(a, it);
  a->count++;
  return it;
}

/* ---- tokens ---- */

static void fill(int64_t *units, int64_t *filled_ms, int64_t per, int64_t most,
                 int64_t now_ms) {
  int64_t passed = now_ms - *filled_ms;

  /* At the first time, and after long ones, it is full; so nothing overflows.
   */
  if (*filled_ms == NEVER || passed >= most / per + 1)
    *units = most;
  else
    *units += passed * per;
  if (*units > most)
    *units = most;
  *filled_ms = now_ms;
}

/* Until there is one whole token. */
static int64_t lacks_ms(int64_t units, int64_t per, int64_t token) {
  return units >= token ? 0 : (token - units + per - 1) / per;
}

static void fill_all(admission *a) {
  fill(&a->units, &a->filled_ms, a->rate, (int64_t)a->rate * SECOND, a->now_ms);
}

static int64_t tokens_lack_ms(admission *a, account *it) {
  int64_t every = a->config.app_every_ms, app, all;

  fill(&it->units, &it->filled_ms, 1, a->config.app_burst * every, a->now_ms);
  fill_all(a);
  app = lacks_ms(it->units, 1, every);
  all = lacks_ms(a->units, a->rate, SECOND);
  return app > all ? app : all;
}

/* ---- asking ---- */

static enum admission_verdict refuse(enum admission_verdict verdict, int64_t ms,
                                     int64_t *retry_ms) {
  *retry_ms = ms > 0 ? ms : 1;
  return verdict;
}

enum admission_verdict admission_ask(admission *a, const admission_question *q,
                                     int64_t *retry_ms) {
  bool live = q->live && q->start, move = live && q->force;
  int64_t lack;
  account *it;

  *retry_ms = 0;
  if (q->now_ms > a->now_ms)
    a->now_ms = q->now_ms;
  if (q->busy)
    return ADMIT_COALESCE; /* nothing is remembered of it, nothing is spent */
  it = account_of(a, q->app);
  if (it == NULL)
    return refuse(ADMIT_RATE, 1000, retry_ms);
  if (live && !move && a->now_ms - it->asked_ms < a->config.ensure_ms) {
    it->asked_ms = a->now_ms;
    return ADMIT_ENSURE;
  }
  lack = tokens_lack_ms(a, it);
  if (move && it->forced_ms + a->config.force_ms - a->now_ms > lack)
    lack = it->forced_ms + a->config.force_ms - a->now_ms;
  if (lack > 0)
    return refuse(ADMIT_RATE, lack, retry_ms);
  if (q->start && q->queued >= a->config.queue_most)
    return refuse(ADMIT_FULL, 5000, retry_ms);
  it->units -= a->config.app_every_ms;
  a->units -= SECOND;
  it->asked_ms = a->now_ms;
  if (move)
    it->forced_ms = a->now_ms;
  return move ? ADMIT_MOVE : ADMIT;
}

void admission_load(admission *a, int64_t p95_ms, int errors_percent,
                    int64_t now_ms) {
  const admission_config *c = &a->config;
  int step = c->rate / 10 > 0 ? c->rate / 10 : 1;

  if (now_ms > a->now_ms)
    a->now_ms = now_ms;
  /* What has passed is paid by the rate that was. */
  fill_all(a);
  if (p95_ms > STRAINED_MS || errors_percent > STRAINED_ERRORS)
    a->rate = a->rate / 2 > c->rate_least ? a->rate / 2 : c->rate_least;
  else
    a->rate = a->rate < c->rate - step ? a->rate + step : c->rate;
  fill_all(a); /* no more than fits now */
}

int admission_rate(const admission *a) { return a->rate; }
