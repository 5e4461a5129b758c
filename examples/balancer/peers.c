/* The thread that looks at the other balancers; see peers.h. One round asks
   each for its digest. Where it is not ours, what differs is listed, and listed
   again after a while: what is in both lists in the same revisions did not
   differ because it was on its way. */
#include "balancer/peers_ask.h"

#include "common/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVERY_MS = 5000, TWICE_MS = 2000, LIST_MOST = 200 };

typedef struct peer {
  peer_status status;
  char url[256];
  int64_t seen_at; /* mono; 0: never */
  bool named;      /* by a URL: stays */
  bool told;       /* of a drift, in the log */
} peer;

struct peers {
  char self[NAME_MOST + 1], own_url[ADDR_MOST + 16];
  int64_t every_ms;
  metric *drifted, *silent, *rounds;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t wake;
  bool stopping;
  char digest[CHANGEFEED_DIGEST_TEXT];
  peer all[PEERS_MOST];
  size_t count;
};

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* With the lock held; false: it is to end. */
static bool rest_for(peers *p, int64_t ms) {
  struct timespec until;

  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  until.tv_nsec += ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  while (!p->stopping &&
         pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0)
    ;
  return !p->stopping;
}

/* ---- one peer ---- */

static bool same_difference(const peer_difference *a,
                            const peer_difference *b) {
  return strcmp(a->app, b->app) == 0 && strcmp(a->mine, b->mine) == 0 &&
         strcmp(a->theirs, b->theirs) == 0;
}

/* Both are in order of apps. */
static const peer_difference *in_both(const peer_difference *a, int as,
                                      const peer_difference *b, int bs) {
  int i = 0, j = 0;

  while (i < as && j < bs) {
    int order = strcmp(a[i].app, b[j].app);

    if (order == 0 && same_difference(&a[i], &b[j]))
      return &a[i];
    i += order <= 0;
    j += order >= 0;
  }
  return NULL;
}

static int list(const peers *p, const char *url, peer_difference *out,
                char *error, size_t size) {
  bool more;

  return peers_diff(p->own_url, url, out, LIST_MOST, &more, error, size);
}

/* Takes 2 s where digests differ. What stays is in *what. */
static bool is_drift(peers *p, const char *url, peer_difference *what,
                     char *error, size_t size) {
  peer_difference *first = calloc(LIST_MOST, sizeof *first);
  peer_difference *second = calloc(LIST_MOST, sizeof *second);
  const peer_difference *both = NULL;
  bool go_on;
  int count;

  if (first != NULL && second != NULL) {
    count = list(p, url, first, error, size);
    (void)pthread_mutex_lock(&p->lock);
    go_on = count > 0 && rest_for(p, TWICE_MS);
    (void)pthread_mutex_unlock(&p->lock);
    if (go_on)
      both = in_both(first, count, second, list(p, url, second, error, size));
    if (both != NULL)
      *what = *both;
  } else {
    (void)snprintf(error, size, "there is no memory");
  }
  free(first);
  free(second);
  return both != NULL;
}

static bool ask(const char *url, peer_digest *out, char *error, size_t size) {
  rest_config config;
  rest *to;
  bool ok;

  memset(&config, 0, sizeof config);
  config.url = url;
  config.connect_ms = 1000;
  to = rest_new(&config, error, size);
  ok = to != NULL && peers_ask_digest(to, NULL, NULL, out, error, size);
  rest_free(to);
  return ok;
}

static void tell_drift(peer *one, bool drifted, const peer_difference *what) {
  if (drifted && !one->told)
    log_event(LOG_ERROR, "peer.drift", LS("peer", one->status.id),
              LS("app", what->app), LS("ours", what->mine),
              LS("theirs", what->theirs));
  else if (!drifted && one->told)
    log_event(LOG_INFO, "peer.same", LS("peer", one->status.id));
  one->told = drifted;
}

/* With the lock held. */
static void take_answer(peer *one, const peer_digest *said, bool drifted,
                        const peer_difference *what) {
  peer_status *s = &one->status;

  one->seen_at = now_ms();
  s->answers = true;
  s->drifted = drifted;
  memcpy(s->digest, said->digest, sizeof s->digest);
  memcpy(s->version, said->version, sizeof s->version);
  memcpy(s->source, said->source, sizeof s->source);
  if (one->named && said->id[0] != '\0')
    memcpy(s->id, said->id, sizeof s->id);
  s->routes = said->routes;
  s->fresh_ms = said->fresh_ms;
  s->stale = said->stale;
  s->trouble[0] = '\0';
  if (drifted)
    (void)snprintf(s->trouble, sizeof s->trouble, "%s differs", what->app);
  tell_drift(one, drifted, what);
}

static peer *find(peers *p, const char *url) {
  size_t i;

  for (i = 0; i < p->count; i++)
    if (strcmp(p->all[i].url, url) == 0)
      return &p->all[i];
  return NULL;
}

/* The peer may go from the list while it is asked. */
static void look_at(peers *p, const char *url) {
  peer_digest said;
  peer_difference what = {"", "", ""};
  char error[256] = "", own[CHANGEFEED_DIGEST_TEXT];
  bool answers = ask(url, &said, error, sizeof error), drifted = false;
  peer *one;

  (void)pthread_mutex_lock(&p->lock);
  memcpy(own, p->digest, sizeof own);
  (void)pthread_mutex_unlock(&p->lock);
  if (answers && own[0] != '\0' && strcmp(own, said.digest) != 0)
    drifted = is_drift(p, url, &what, error, sizeof error);
  (void)pthread_mutex_lock(&p->lock);
  one = find(p, url);
  if (one != NULL && answers) {
    take_answer(one, &said, drifted, &what);
  } else if (one != NULL) {
    if (one->status.answers)
      log_event(LOG_WARN, "peer.silent", LS("peer", one->status.id),
                LS("why", error));
    one->status.answers = false;
    (void)snprintf(one->status.trouble, sizeof one->status.trouble, "%.150s",
                   error);
  }
  (void)pthread_mutex_unlock(&p->lock);
}

/* ---- rounds ---- */

static void count_all(peers *p) {
  int64_t drifted = 0, silent = 0;
  size_t i;

  for (i = 0; i < p->count; i++) {
    drifted += p->all[i].status.drifted;
    silent += !p->all[i].status.answers;
  }
  metric_set(p->drifted, drifted);
  metric_set(p->silent, silent);
  metric_add(p->rounds, 1);
}

static void *run(void *arg) {
  peers *p = arg;
  char urls[PEERS_MOST][sizeof p->all[0].url];
  size_t count, i;

  (void)pthread_mutex_lock(&p->lock);
  do {
    count = p->count;
    for (i = 0; i < count; i++)
      memcpy(urls[i], p->all[i].url, sizeof urls[i]);
    for (i = 0; i < count && !p->stopping; i++) {
      (void)pthread_mutex_unlock(&p->lock);
      look_at(p, urls[i]);
      (void)pthread_mutex_lock(&p->lock);
    }
    count_all(p);
  } while (rest_for(p, p->every_ms));
  (void)pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* ---- who there is ---- */

static void add(peers *p, const char *id, const char *admin, const char *url,
                bool named) {
  peer *one;

  if (find(p, url) != NULL)
    return;
  if (p->count == PEERS_MOST) {
    log_event(LOG_WARN, "peer.too_many", LS("peer", id),
              LN("most", PEERS_MOST));
    return;
  }
  one = &p->all[p->count++];
  memset(one, 0, sizeof *one);
  one->named = named;
  one->status.seen_ms = one->status.fresh_ms = -1;
  (void)snprintf(one->url, sizeof one->url, "%s", url);
  (void)snprintf(one->status.id, sizeof one->status.id, "%.63s", id);
  (void)snprintf(one->status.admin, sizeof one->status.admin, "%.63s", admin);
}

static bool is_listed(const peer *one, const balancer_doc *all, size_t count) {
  size_t i;

  for (i = 0; i < count; i++)
    if (strcmp(one->status.admin, all[i].admin) == 0)
      return true;
  return false;
}

void peers_set(peers *p, const balancer_doc *all, size_t count,
               const changefeed_digest *digest, uint64_t routes) {
  char url[ADDR_MOST + 16];
  size_t i, kept = 0;

  (void)routes;
  (void)pthread_mutex_lock(&p->lock);
  (void)changefeed_digest_text(digest, p->digest);
  for (i = 0; i < p->count; i++)
    if (p->all[i].named || is_listed(&p->all[i], all, count))
      p->all[kept++] = p->all[i];
  p->count = kept;
  for (i = 0; i < count; i++) {
    (void)snprintf(url, sizeof url, "http://%s", all[i].admin);
    if (strcmp(all[i].id, p->self) != 0 && strcmp(url, p->own_url) != 0)
      add(p, all[i].id, all[i].admin, url, false);
  }
  (void)pthread_mutex_unlock(&p->lock);
}

size_t peers_get(peers *p, peer_status *out, size_t most) {
  int64_t now = now_ms();
  size_t i;

  (void)pthread_mutex_lock(&p->lock);
  for (i = 0; i < p->count && i < most; i++) {
    out[i] = p->all[i].status;
    out[i].seen_ms = p->all[i].seen_at != 0 ? now - p->all[i].seen_at : -1;
  }
  (void)pthread_mutex_unlock(&p->lock);
  return i;
}

bool peers_drifted(peers *p) {
  bool any = false;
  size_t i;

  (void)pthread_mutex_lock(&p->lock);
  for (i = 0; i < p->count; i++)
    any |= p->all[i].status.drifted;
  (void)pthread_mutex_unlock(&p->lock);
  return any;
}

bool peers_knows(peers *p, const char *url) {
  bool known;

  (void)pthread_mutex_lock(&p->lock);
  known = find(p, url) != NULL;
  (void)pthread_mutex_unlock(&p->lock);
  return known;
}

/* ---- beginning and end ---- */

static void name_urls(peers *p, const peers_config *config) {
  size_t i;

  for (i = 0; i < config->url_count; i++) {
    const char *scheme = strstr(config->urls[i], "://");

    add(p, config->urls[i], scheme != NULL ? scheme + 3 : config->urls[i],
        config->urls[i], true);
  }
}

static bool start_thread(peers *p) {
  pthread_condattr_t how;
  bool ok = pthread_condattr_init(&how) == 0;

  ok = ok && pthread_condattr_setclock(&how, CLOCK_MONOTONIC) == 0 &&
       pthread_cond_init(&p->wake, &how) == 0 &&
       pthread_mutex_init(&p->lock, NULL) == 0 &&
       pthread_create(&p->thread, NULL, run, p) == 0;
  (void)pthread_condattr_destroy(&how);
  return ok;
}

static bool are_urls(const peers_config *config, char *error, size_t size) {
  size_t i;

  for (i = 0; i < config->url_count; i++) {
    const char *url = config->urls[i];

    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        strlen(url) > 200 || strchr(url, '@') != NULL) {
      (void)snprintf(error, size,
                     "--peer %.100s: it is http://ADDRESS:PORT, of at most 200 "
                     "bytes, without a password",
                     url);
      return false;
    }
  }
  if (config->url_count <= PEERS_MOST)
    return true;
  (void)snprintf(error, size, "there are more than %d --peer", PEERS_MOST);
  return false;
}

peers *peers_start(const peers_config *config, char *error, size_t size) {
  peers *p;

  if (!are_urls(config, error, size))
    return NULL;
  p = calloc(1, sizeof *p);
  if (p == NULL) {
    (void)snprintf(error, size, "there is no memory");
    return NULL;
  }
  (void)snprintf(p->self, sizeof p->self, "%s", config->self);
  (void)snprintf(p->own_url, sizeof p->own_url, "http://%s", config->admin);
  p->every_ms = config->every_ms > 0 ? config->every_ms : EVERY_MS;
  p->drifted = metrics_gauge(config->metrics, "balancer_peers_drifted", NULL,
                             "Balancers whose table differs from this one's.");
  p->silent = metrics_gauge(config->metrics, "balancer_peers_silent", NULL,
                            "Balancers that do not answer this one.");
  p->rounds = metrics_counter(config->metrics, "balancer_peer_rounds_total",
                              NULL, "Comparisons with all of them.");
  name_urls(p, config);
  if (start_thread(p))
    return p;
  (void)snprintf(error, size, "no thread could be started");
  free(p);
  return NULL;
}

void peers_stop(peers *p) {
  if (p == NULL)
    return;
  (void)pthread_mutex_lock(&p->lock);
  p->stopping = true;
  (void)pthread_cond_broadcast(&p->wake);
  (void)pthread_mutex_unlock(&p->lock);
  (void)pthread_join(p->thread, NULL);
  (void)pthread_cond_destroy(&p->wake);
  (void)pthread_mutex_destroy(&p->lock);
  free(p);
}
