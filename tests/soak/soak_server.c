/* The database of the soak: a mini couch in a process of its own, so that what
   it uses is not taken for the library's. One thread writes and makes trouble,
   by seed; the peer's threads serve. Orders come by a pipe, a letter each; the
   end of the pipe is the order to end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "soak.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"

enum { TICK_MS = 10, IDS = 300, BURST = 8 };

struct soak_server {
  pid_t pid;
  FILE *orders, *answers;
  char url[128];
};

/* ---- in the child ---- */

typedef struct trouble {
  cft_mini *mini;
  cft_peer *peer;
  cfi_random random;
  int64_t next_ms; /* of the next fault */
  /* When what is going on ends; 0: it is not. */
  int64_t thaw_ms, restart_ms, create_ms;
  unsigned number; /* of the next write */
  size_t last_fault;
  bool any_fault;
  soak_deeds deeds;
} trouble;

static int64_t upto(trouble *t, int64_t bound) {
  return cfi_random_upto(&t->random, bound);
}

static void write_some(trouble *t) {
  char id[32], rev[32];

  if (t->create_ms != 0)
    return;
  for (int64_t n = upto(t, BURST); n > 0; n--) {
    (void)snprintf(id, sizeof id, "doc%03d", (int)upto(t, IDS - 1));
    (void)snprintf(rev, sizeof rev, "%u-x", ++t->number);
    cft_mini_put(t->mini, id, rev, upto(t, 9) == 0);
    t->deeds.writes++;
  }
}

static unsigned some_kind(trouble *t) {
  static const unsigned kinds[] = {CFT_DB, CFT_NORMAL, CFT_LIVE, CFT_ANY,
                                   CFT_FEED};

  return kinds[upto(t, 4)];
}

static void add_fault(trouble *t, cft_fault fault) {
  fault.times = (size_t)(1 + upto(t, 3));
  t->last_fault = cft_mini_fault(t->mini, &fault);
  t->any_fault = true;
  t->deeds.faults++;
}

static void cut(trouble *t) {
  static const enum cft_then ends[] = {CFT_CLOSE, CFT_RST, CFT_SILENCE,
                                       CFT_BLACKHOLE, CFT_HALF_CLOSE};

  add_fault(
      t, (cft_fault){.on = some_kind(t),
                     .cut = upto(t, 1) == 0 ? CFT_CUT_RESPONSE : CFT_CUT_BODY,
                     .cut_at = (size_t)upto(t, 3000),
                     .then = ends[upto(t, 4)]});
  t->deeds.cuts++;
}

static void answer_status(trouble *t) {
  static const int statuses[] = {500, 502, 503, 504, 429};
  int status = statuses[upto(t, 4)];

  add_fault(
      t, (cft_fault){.on = some_kind(t),
                     .status = status,
                     .headers = status == 503 ? "Retry-After: 1\r\n" : NULL});
}

static void answer_rubbish(trouble *t) {
  static const char *const texts[] = {
      "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n"
      "<html>log in!</html>\n",
      "\x16\x03\x01\x02 this is no HTTP\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\nzz\r\nno size\r\n",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
      "Content-Length: 12\r\n\r\n{\"results\":[",
      "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"};

  add_fault(t, (cft_fault){.on = some_kind(t),
                           .raw = texts[upto(t, 4)],
                           .then = CFT_CLOSE});
}

static void inject(trouble *t) {
  static const char garbage[] = "no JSON at all\n",
                    error[] =
                        "{\"error\":\"timeout\",\"reason\":\"a shard\"}\n",
                    second[] = "HTTP/1.1 412 Precondition Failed\r\n\r\n";

  if (upto(t, 2) == 0)
    cft_mini_inject(t->mini, garbage, sizeof garbage - 1);
  else if (upto(t, 1) == 0)
    cft_mini_inject(t->mini, error, sizeof error - 1);
  else
    cft_mini_inject_raw(t->mini, second, sizeof second - 1);
  t->deeds.others++;
}

static void count_requests(trouble *t) {
  const cft_request *request;

  for (size_t i = 0; (request = cft_peer_request(t->peer, CFT_ANY, i)) != NULL;
       i++) {
    char value[16];

    if (cft_request_header(request, "X-Feed", value, sizeof value) &&
        strtoul(value, NULL, 10) < SOAK_FEEDS)
      t->deeds.requests[strtoul(value, NULL, 10)]++;
  }
}

static void stop_for_a_while(trouble *t) {
  cft_peer_stop(t->peer);
  count_requests(t);
  cft_peer_forget(t->peer);
  t->restart_ms = cft_now_ms() + 20 + upto(t, 1500);
  t->deeds.restarts++;
}

static void make_trouble(trouble *t) {
  int64_t now = cft_now_ms();

  switch (upto(t, 17)) {
  case 0:
  case 1:
  case 2:
  case 3:
    cut(t);
    break;
  case 4:
  case 5:
    answer_status(t);
    break;
  case 6:
    answer_rubbish(t);
    break;
  case 7: /* slow headers */
    add_fault(t, (cft_fault){.on = some_kind(t), .delay_ms = upto(t, 2500)});
    break;
  case 8:
    add_fault(t, (cft_fault){.on = CFT_CONNECT, .delay_ms = upto(t, 1000)});
    break;
  case 9:
    add_fault(t,
              (cft_fault){.on = CFT_FEED, .slice = (size_t)(1 + upto(t, 6))});
    break;
  case 10:
    add_fault(t, (cft_fault){.on = CFT_FEED, .empty = true});
    break;
  case 11:
    add_fault(t, (cft_fault){.on = CFT_FEED,
                             .rewind = upto(t, 3) == 0 ? SIZE_MAX
                                                       : (size_t)upto(t, 40)});
    break;
  case 12:
    inject(t);
    break;
  case 13:
    cft_mini_end_feeds(t->mini);
    t->deeds.others++;
    break;
  case 14:
    cft_peer_drop(t->peer, upto(t, 1) == 0 ? CFT_CLOSE : CFT_RST);
    t->deeds.others++;
    break;
  case 15:
    if (t->thaw_ms == 0) {
      cft_mini_freeze(t->mini, true);
      t->thaw_ms = now + 20 + upto(t, 2500);
      t->deeds.freezes++;
    }
    break;
  case 16:
    if (t->restart_ms == 0)
      stop_for_a_while(t);
    break;
  default:
    if (t->create_ms == 0) {
      cft_mini_delete_db(t->mini);
      t->create_ms = now + upto(t, 1500);
      t->deeds.histories++;
    }
    break;
  }
}

/* What has lasted long enough; with `all`, everything. */
static void end_trouble(trouble *t, bool all) {
  int64_t now = cft_now_ms();

  if (t->thaw_ms != 0 && (all || now >= t->thaw_ms)) {
    cft_mini_freeze(t->mini, false);
    t->thaw_ms = 0;
  }
  if (t->restart_ms != 0 && (all || now >= t->restart_ms)) {
    cft_peer_restart(t->peer);
    t->restart_ms = 0;
  }
  if (t->create_ms != 0 && (all || now >= t->create_ms)) {
    cft_mini_create_db(t->mini);
    t->create_ms = 0;
  }
}

/* Runs until there is an order; false at their end. */
static bool serve(trouble *t, int orders) {
  struct pollfd p = {.fd = orders, .events = POLLIN};
  char order;

  while (poll(&p, 1, TICK_MS) == 0) {
    end_trouble(t, false);
    write_some(t);
    if (cft_now_ms() >= t->next_ms) {
      make_trouble(t);
      t->next_ms = cft_now_ms() + upto(t, 400);
    }
  }
  return read(orders, &order, 1) == 1;
}

static void tell_revs(trouble *t, FILE *answers) {
  cft_revs *revs = cft_mini_revs(t->mini);
  char id[32];

  for (int i = 0; i < IDS; i++) {
    bool deleted = false;
    const char *rev;

    (void)snprintf(id, sizeof id, "doc%03d", i);
    rev = cft_revs_get(revs, id, &deleted);
    if (rev != NULL)
      (void)fprintf(answers, "%s %s %d\n", id, rev, deleted);
  }
  (void)fprintf(answers, "end\n");
  (void)fflush(answers);
  cft_revs_free(revs);
}

static void tell_deeds(trouble *t, FILE *answers) {
  count_requests(t);
  (void)fwrite(&t->deeds, sizeof t->deeds, 1, answers);
  (void)fflush(answers);
}

static _Noreturn void child(uint64_t seed, int orders, int to) {
  static trouble t;
  FILE *answers = fdopen(to, "w");
  char order;

  if (answers == NULL)
    _exit(2);
  cfi_random_init(&t.random, seed);
  t.mini = cft_mini_start(NULL);
  t.peer = cft_mini_peer(t.mini);
  (void)fprintf(answers, "%s\n", cft_mini_url(t.mini));
  (void)fflush(answers);
  t.next_ms = cft_now_ms() + 1000;
  if (!serve(&t, orders))
    _exit(3);
  cft_mini_heal(t.mini);
  end_trouble(&t, true);
  write_some(&t);
  tell_revs(&t, answers);
  if (read(orders, &order, 1) != 1)
    _exit(4);
  cft_peer_stop(t.peer);
  tell_deeds(&t, answers);
  cft_mini_free(t.mini);
  _exit(fclose(answers) == 0 ? 0 : 5);
}

/* ---- in the parent ---- */

soak_server *soak_server_start(uint64_t seed) {
  soak_server *s = cft_calloc(1, sizeof *s);
  int orders[2], answers[2];
  pid_t parent = getpid();

  if (pipe2(orders, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
    abort();
  s->pid = fork();
  if (s->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(1);
    (void)close(orders[1]);
    (void)close(answers[0]);
    child(seed, orders[0], answers[1]);
  }
  (void)close(orders[0]);
  (void)close(answers[1]);
  s->orders = fdopen(orders[1], "w");
  s->answers = fdopen(answers[0], "r");
  if (s->pid < 0 || s->orders == NULL || s->answers == NULL ||
      fgets(s->url, sizeof s->url, s->answers) == NULL) {
    (void)fprintf(stderr, "soak: the server does not start\n");
    abort();
  }
  s->url[strcspn(s->url, "\n")] = '\0';
  return s;
}

const char *soak_server_url(const soak_server *server) { return server->url; }

static bool send_order(soak_server *s) {
  return fputc('o', s->orders) != EOF && fflush(s->orders) == 0;
}

cft_revs *soak_server_heal(soak_server *s) {
  cft_revs *revs = cft_revs_new();
  char line[128];

  if (!send_order(s)) {
    cft_revs_free(revs);
    return NULL;
  }
  while (fgets(line, sizeof line, s->answers) != NULL) {
    char id[32], rev[32];
    int deleted;

    if (strcmp(line, "end\n") == 0)
      return revs;
    if (sscanf(line, "%31s %31s %d", id, rev, &deleted) != 3)
      break;
    cft_revs_put(revs, id, rev, deleted != 0);
  }
  cft_revs_free(revs);
  return NULL;
}

bool soak_server_stop(soak_server *s, soak_deeds *deeds) {
  int status = -1;
  bool told = send_order(s) && fread(deeds, sizeof *deeds, 1, s->answers) == 1;

  (void)fclose(s->orders);
  (void)waitpid(s->pid, &status, 0);
  (void)fclose(s->answers);
  free(s);
  return told && status == 0;
}
