/* Visitors: each thread keeps a connection to each balancer, and asks for one
 * app after the other through it. An answer is the page of that very app, with
 * its nonce, or a page of the balancer; anything else is somebody else's. */
#include "visit.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ANSWER_MS = 45000,
  PAUSE_MS = 4,
  REPEAT_MS = 8000,
  EACH_MS = 20,
  STOPPED = 4
};

typedef struct answer {
  CURLcode code;
  long status;
  char error[8]; /* X-Balancer-Error, or "" */
  bool inside;   /* it tells what is inside: X-Drone-... */
  char body[8192];
  size_t len;
} answer;

static size_t take_body(char *data, size_t one, size_t count, void *user) {
  answer *a = user;
  size_t n = one * count, room = sizeof a->body - 1 - a->len;
  size_t part = n < room ? n : room;
  memcpy(a->body + a->len, data, part);
  a->len += part;
  a->body[a->len] = '\0';
  return n;
}

static size_t take_head(char *data, size_t one, size_t count, void *user) {
  static const char error[] = "x-balancer-error:", inside[] = "x-drone-";
  answer *a = user;
  size_t n = one * count, skip = sizeof error - 1;
  if (n > skip && strncasecmp(data, error, skip) == 0) {
    while (skip < n && data[skip] == ' ')
      skip++;
    size_t len = n - skip;
    for (size_t i = skip; i < n; i++)
      if (data[i] == '\r' || data[i] == '\n') {
        len = i - skip;
        break;
      }
    (void)snprintf(a->error, sizeof a->error, "%.*s", (int)len, data + skip);
  }
  if (n > sizeof inside - 1 &&
      strncasecmp(data, inside, sizeof inside - 1) == 0)
    a->inside = true;
  return n;
}

static CURL *connection(const balancer *b) {
  CURL *curl = curl_easy_init();
  if (!curl)
    exit(2);
  (void)curl_easy_setopt(curl, CURLOPT_URL, b->url);
  (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head);
  return curl;
}

static void name_of(unsigned app, char out[32]) {
  if (app == MAYFLY)
    (void)snprintf(out, 32, "mayfly");
  else
    (void)snprintf(out, 32, "app-%u", app);
}

/* Some name a claim, as if they came from a balancer. */
static void ask_for(CURL *curl, unsigned app, bool forged, answer *a) {
  char name[32], host[64];
  struct curl_slist *fields = NULL;
  name_of(app, name);
  (void)snprintf(host, sizeof host, "Host: %s.test", name);
  fields = curl_slist_append(fields, host);
  if (forged)
    fields = curl_slist_append(
        fields, "X-Drone-Claim: app-1/00000000000000000000000000000000");
  a->status = 0;
  a->len = 0;
  a->error[0] = a->body[0] = '\0';
  a->inside = false;
  (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
  a->code = curl_easy_perform(curl);
  (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
  (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(fields);
}

/* "E04" is 4; -1: it is no page's code. */
static int page_of(const char *code) {
  if (code[0] != 'E' || code[1] < '0' || code[1] > '9' || code[2] < '0' ||
      code[2] > '9' || code[3])
    return -1;
  return (code[1] - '0') * 10 + code[2] - '0';
}

static void own_page(const visit *v, unsigned app, char *out, size_t size) {
  char nonce[64];
  nonce_of(&v->k, app, nonce);
  if (app == MAYFLY)
    (void)snprintf(out, size, "app=mayfly nonce=mayfly\n");
  else
    (void)snprintf(out, size, "app=app-%u nonce=%s\n", app, nonce);
}

/* I5 and I9: what came, whatever else is going on. */
static int outcome_of(visit *v, const balancer *b, unsigned app,
                      const answer *a) {
  char name[32], wanted[160];
  int page = page_of(a->error);
  if (a->code != CURLE_OK)
    return NO_ANSWER;
  name_of(app, name);
  own_page(v, app, wanted, sizeof wanted);
  v->checks[V5_OWN]++;
  v->checks[V9_KNOWN] += app != MAYFLY;
  if (a->inside)
    wrong(v, V5_OWN, "%s tells a visitor of %s what is inside", b->id, name);
  if (!a->error[0] && a->status == 200 && strcmp(a->body, wanted) == 0)
    return BY_APP;
  if (page < 0 || a->status < 400 || strstr(a->body, "nonce=")) {
    v->foreign += strstr(a->body, "nonce=") != NULL;
    wrong(v, V5_OWN, "%s answers for %s: %ld %s: %.*s", b->id, name, a->status,
          a->error, (int)strcspn(a->body, "\n"), a->body);
    return NO_ANSWER;
  }
  if ((page == 1 || a->status == 404) && app != MAYFLY)
    wrong(v, V9_KNOWN, "%s does not know %s: %ld %s", b->id, name, a->status,
          a->error);
  return BY_PAGE + page;
}

/* ---- in the phases ---- */

static enum phase phase_of(unsigned phase) {
  return (enum phase)(phase % PHASES);
}

static void count(visit *v, enum phase phase, int outcome) {
  if (outcome == BY_APP)
    v->answered[phase]++;
  else if (outcome == NO_ANSWER)
    v->cut[phase]++;
  else
    v->pages[phase][outcome - BY_PAGE]++;
}

/* In a strict phase, where what was asked ran all the time. */
static void judge_strictly(visit *v, const balancer *b, unsigned app,
                           enum phase phase, int outcome, const answer *a) {
  enum visit_law law = phase == PHASE_MOVING ? V13_MOVED : V8_AWAY;
  int expected = app == MAYFLY ? NO_ANSWER : v->expected[b->index][app];
  if ((phase != PHASE_MOVING && phase != PHASE_AWAY) || expected == NO_ANSWER)
    return;
  v->checks[law]++;
  if (outcome != expected)
    wrong(v, law, "%s, app-%u: %s%s %ld %s instead of %s", b->id, app,
          a->code == CURLE_OK ? "" : "no answer: ",
          a->code == CURLE_OK ? "" : curl_easy_strerror(a->code), a->status,
          a->error, expected == BY_APP ? "its page" : "E04");
}

static void one_visit(visit *v, CURL *curl, balancer *b, unsigned app,
                      bool forged) {
  answer a;
  unsigned number = b->door, phase = v->phase;
  if (number % 2 == 0)
    return;
  ask_for(curl, app, forged, &a);
  bool same = b->door == number;
  if (!same && a.code != CURLE_OK)
    return; /* it was ended meanwhile */
  int outcome = outcome_of(v, b, app, &a);
  v->asked++;
  count(v, phase_of(phase), outcome);
  if (same && v->phase == phase)
    judge_strictly(v, b, app, phase_of(phase), outcome, &a);
}

void *visitor_main(void *arg) {
  visit_arg *me = arg;
  visit *v = me->v;
  dice d = {.state = v->k.seed * 1000003 + me->index};
  CURL *to[BALANCERS];
  for (unsigned i = 0; i < BALANCERS; i++)
    to[i] = connection(&v->balancers[i]);
  while (!v->visitors_end) {
    unsigned i = dice_below(&d, BALANCERS);
    unsigned app = dice_below(&d, v->o->apps + 1);
    one_visit(v, to[i], &v->balancers[i], app == v->o->apps ? MAYFLY : app,
              dice_below(&d, 8) == 0);
    sleep_ms(dice_below(&d, PAUSE_MS));
  }
  for (unsigned i = 0; i < BALANCERS; i++)
    curl_easy_cleanup(to[i]);
  return NULL;
}

/* ---- between them ---- */

static int see(visit *v, CURL *curl, const balancer *b, unsigned app) {
  answer a;
  ask_for(curl, app, false, &a);
  return outcome_of(v, b, app, &a);
}

/* Whether the balancer has the newest revision, and what is to be seen then. */
static bool is_held(visit *v, unsigned i, unsigned app, int *wanted) {
  const app_facts *f = &v->facts[app];
  (void)pthread_mutex_lock(&v->lock);
  bool has = f->count && strcmp(v->held[i][app].rev,
                                f->history[(f->count - 1) % HISTORY].rev) == 0;
  *wanted = strcmp(f->state, "live") == 0 ? BY_APP : BY_PAGE + STOPPED;
  (void)pthread_mutex_unlock(&v->lock);
  return has;
}

/* Who is shown what he has to be, at a balancer that knows it. */
static void fix_expected(visit *v, unsigned i) {
  CURL *curl = connection(&v->balancers[i]);
  for (unsigned app = 0; app < v->o->apps; app++) {
    int wanted = NO_ANSWER;
    bool has = is_held(v, i, app, &wanted);
    bool shown = has && see(v, curl, &v->balancers[i], app) == wanted;
    v->expected[i][app] = shown ? wanted : NO_ANSWER;
  }
  curl_easy_cleanup(curl);
}

void phase_begin(visit *v, enum phase phase) {
  bool strict = phase == PHASE_MOVING || phase == PHASE_AWAY;
  for (unsigned i = 0; strict && i < BALANCERS; i++)
    fix_expected(v, i);
  v->phase_ms[phase_of(v->phase)] += now_ms() - v->begun_ms;
  v->begun_ms = now_ms();
  v->phase = (v->phase / PHASES + 1) * PHASES + phase;
}

void visit_all(visit *v) {
  int64_t end = now_ms() + REPEAT_MS + v->o->apps * EACH_MS;
  for (unsigned i = 0; i < BALANCERS; i++) {
    CURL *curl = connection(&v->balancers[i]);
    for (unsigned app = 0; app < v->o->apps; app++) {
      int wanted = NO_ANSWER, got = NO_ANSWER;
      if (!is_held(v, i, app, &wanted))
        continue;
      v->checks[V10_LIVE]++;
      while ((got = see(v, curl, &v->balancers[i], app)) != wanted &&
             now_ms() < end)
        sleep_ms(50);
      if (got != wanted)
        wrong(v, V10_LIVE, "app-%u through %s: E%02d instead of %s", app,
              v->balancers[i].id, got - BY_PAGE,
              wanted == BY_APP ? "its page" : "E04");
    }
    curl_easy_cleanup(curl);
  }
}
