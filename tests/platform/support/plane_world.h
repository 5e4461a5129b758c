/* A data plane under test: a table that the test's own thread fills, an engine
   with its workers, and guards behind it, each a scripted peer in threads of
   its own. Visitors are the raw clients of tests/support. */
#ifndef PLANE_WORLD_H
#define PLANE_WORLD_H

#include "balancer/engine.h"
#include "balancer/pages.h"
#include "common/http_proxy.h"

#include "support/mem.h"
#include "support/peer.h"
#include "support/peer_client.h"
#include "support/timing.h"
#include "support/unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WAIT_MS = 20000, WORLD_ROUTES = 64 };

/* ---- guards ---- */

/* Plays a drone: answers 421 to every claim but the one it holds, else by the
   path (see guard_answers). */
typedef struct guard {
  cft_peer *peer;
  char addr[ADDR_MOST + 1];
  pthread_mutex_t lock;
  char held[ROUTE_CLAIM_MOST + 1];
  atomic_bool open;     /* /held is answered */
  _Atomic size_t asked; /* by the claim that is held */
} guard;

/* In raw answers "@" is the claim that is held. */
typedef struct guard_answer {
  const char *path, *raw;
  enum cft_then then;
} guard_answer;

#define CLAIM "X-Drone-Claim: @\r\n"
#define TELL(error, status)                                                    \
  "HTTP/1.1 " status "\r\n" CLAIM "X-Drone-Error: " error                      \
  "\r\nContent-Length: 6\r\n\r\nguard\n"
#define SECRET "Content-Length: 6\r\n\r\ns3cret"

static const guard_answer guard_answers[] = {
    {"/none", "HTTP/1.1 200 OK\r\n" SECRET, CFT_KEEP},
    {"/other", "HTTP/1.1 200 OK\r\nX-Drone-Claim: @0\r\n" SECRET, CFT_KEEP},
    {"/case",
     "HTTP/1.1 200 OK\r\nX-Drone-Claim: "
     "A/00000000000000000000000000000001\r\n" SECRET,
     CFT_KEEP},
    {"/shorter", "HTTP/1.1 200 OK\r\nX-Drone-Claim: a\r\n" SECRET, CFT_KEEP},
    {"/empty", "HTTP/1.1 200 OK\r\nX-Drone-Claim:\r\n" SECRET, CFT_KEEP},
    {"/twice", "HTTP/1.1 200 OK\r\n" CLAIM CLAIM SECRET, CFT_KEEP},
    {"/two", "HTTP/1.1 200 OK\r\n" CLAIM "X-Drone-Claim: b/2\r\n" SECRET,
     CFT_KEEP},
    {"/twin", "HTTP/1.1 200 OK\r\nX_Drone_Claim: @\r\n" SECRET, CFT_KEEP},
    {"/none-101",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
     "Upgrade: websocket\r\n\r\ns3cret",
     CFT_KEEP},
    {"/none-hint",
     "HTTP/1.1 103 Early Hints\r\nX-Hint: s3cret\r\n\r\nHTTP/1.1 200 "
     "OK\r\n" SECRET,
     CFT_KEEP},
    {"/misdirected", "HTTP/1.1 421 No\r\n" SECRET, CFT_KEEP},
    {"/own-421", "HTTP/1.1 421 No\r\n" CLAIM "Content-Length: 3\r\n\r\nown",
     CFT_KEEP},
    {"/lower",
     "HTTP/1.1 200 OK\r\nx-drone-claim: @\r\nContent-Length: 2\r\n\r\nok",
     CFT_KEEP},
    {"/starting", TELL("starting", "503 No"), CFT_KEEP},
    {"/crashed", TELL("crashed", "503 No"), CFT_KEEP},
    {"/late", TELL("late", "504 No"), CFT_KEEP},
    {"/broken", TELL("broken", "502 No"), CFT_KEEP},
    {"/refused-431", TELL("refused", "431 No"), CFT_KEEP},
    {"/refused-413", TELL("refused", "413 No"), CFT_KEEP},
    {"/refused-503", TELL("refused", "503 No"), CFT_KEEP},
    {"/refused-400", TELL("refused", "400 No"), CFT_KEEP},
    {"/what", TELL("what", "200 OK"), CFT_KEEP},
    {"/cut", "HTTP/1.1 200 OK\r\n" CLAIM "Content-Length: 9\r\n\r\nhalf",
     CFT_CLOSE},
    {"/gone", "HTTP/1.1 200", CFT_CLOSE},
    {"/nonsense", "SSH-2.0\r\n\r\n", CFT_CLOSE},
    {"/silent", "", CFT_SILENCE},
    {"/204", "HTTP/1.1 204 No Content\r\n" CLAIM "\r\n", CFT_KEEP},
    {"/304", "HTTP/1.1 304 Not Modified\r\n" CLAIM "ETag: \"1\"\r\n\r\n",
     CFT_KEEP},
    {"/hint",
     "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" CLAIM
     "Content-Length: 2\r\n\r\nok",
     CFT_KEEP},
    {"/chunked",
     "HTTP/1.1 200 OK\r\n" CLAIM "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
     CFT_KEEP},
    {"/to-the-end", "HTTP/1.1 200 OK\r\n" CLAIM "\r\nall of it", CFT_CLOSE},
    {"/own-fields",
     "HTTP/1.1 200 OK\r\n" CLAIM "X-Drone-Secret: s3cret\r\nX_Drone_Addr: "
     "s3cret\r\nX-Balancer-Error: E99\r\nX-Mine: yes\r\nContent-Length: "
     "2\r\n\r\nok",
     CFT_KEEP},
};

static inline void guard_hold(guard *g, const char *claim) {
  (void)pthread_mutex_lock(&g->lock);
  (void)snprintf(g->held, sizeof g->held, "%.*s", ROUTE_CLAIM_MOST, claim);
  (void)pthread_mutex_unlock(&g->lock);
}

static inline bool guard_send(cft_conn *conn, const char *raw,
                              const char *held) {
  char out[1024];
  size_t len = 0;

  for (; *raw != '\0' && len + ROUTE_CLAIM_MOST + 1 < sizeof out; raw++) {
    if (*raw == '@')
      len += (size_t)snprintf(out + len, sizeof out - len, "%s", held);
    else
      out[len++] = *raw;
  }
  return len == 0 || cft_conn_send(conn, out, len);
}

/* "/show" answers with the head that came; any other path with the claim. */
static inline bool guard_by_path(cft_conn *conn, const cft_request *req,
                                 guard *g, const char *held) {
  const char *path = req->target;

  for (size_t i = 0; i < sizeof guard_answers / sizeof *guard_answers; i++)
    if (strcmp(path, guard_answers[i].path) == 0)
      return guard_send(conn, guard_answers[i].raw, held) &&
             cft_conn_then(conn, guard_answers[i].then);
  if (strcmp(path, "/held") == 0) {
    cft_conn_wakeable(conn);
    while (!atomic_load(&g->open))
      if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
        return false;
  }
  if (strcmp(path, "/show") == 0)
    return cft_conn_sendf(conn,
                          "HTTP/1.1 200 OK\r\nX-Drone-Claim: %s\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          held, req->head_len, req->head);
  return cft_conn_sendf(conn,
                        "HTTP/1.1 200 OK\r\nX-Drone-Claim: %s\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        held, strlen(held),
                        strcmp(req->method, "HEAD") == 0 ? "" : held);
}

static inline void guard_handle(cft_conn *conn, void *user) {
  guard *g = user;
  const cft_request *req;
  char asked[128], held[ROUTE_CLAIM_MOST + 1];

  while (cft_conn_read_request(conn, &req)) {
    (void)pthread_mutex_lock(&g->lock);
    memcpy(held, g->held, sizeof held);
    (void)pthread_mutex_unlock(&g->lock);
    if (!cft_request_header(req, "X-Drone-Claim", asked, sizeof asked) ||
        strcmp(asked, held) != 0) {
      if (!cft_conn_sendf(conn,
                          "HTTP/1.1 421 Misdirected Request\r\n"
                          "X-Drone-Claim: %s\r\n" SECRET,
                          held))
        return;
      continue;
    }
    atomic_fetch_add(&g->asked, 1);
    if (!guard_by_path(conn, req, g, held))
      return;
  }
}

/* handler NULL: guard_handle. */
static inline void guard_start(guard *g, const char *claim,
                               cft_handler handler) {
  memset(g, 0, sizeof *g);
  (void)pthread_mutex_init(&g->lock, NULL);
  guard_hold(g, claim);
  g->peer = cft_peer_start(NULL, handler != NULL ? handler : guard_handle, g);
  (void)snprintf(g->addr, sizeof g->addr, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(g->peer));
}

static inline void guard_open(guard *g) {
  atomic_store(&g->open, true);
  cft_peer_wake(g->peer);
}

static inline void guard_stop(guard *g) {
  cft_peer_free(g->peer);
  (void)pthread_mutex_destroy(&g->lock);
}

/* ---- the world ---- */

typedef struct plane_world {
  uv_loop_t loop;
  table *table;
  metrics *metrics;
  routes *set;
  route *held[WORLD_ROUTES]; /* by the number in their app's name */
  engine *engine;
  uint16_t port;
  bool drained;
} plane_world;

/* Claims as documents have them: "a1/00...01" is claim_of(.., "a1", 1). */
static inline void claim_of(char out[ROUTE_CLAIM_MOST + 1], const char *app,
                            unsigned n) {
  (void)snprintf(out, ROUTE_CLAIM_MOST + 1, "%s/%032x", app, n);
}

static inline route_doc doc_of(const char *app, const char *host,
                               enum route_state state) {
  route_doc doc;

  memset(&doc, 0, sizeof doc);
  (void)snprintf(doc.app, sizeof doc.app, "%s", app);
  (void)snprintf(doc.hosts[0], sizeof doc.hosts[0], "%s", host);
  doc.host_count = 1;
  doc.gen = 1;
  doc.state = state;
  return doc;
}

static inline void doc_to(route_doc *doc, const char *addr, const char *claim) {
  route_to *to = &doc->to[doc->to_count++];

  (void)snprintf(to->drone, sizeof to->drone, "%s", addr);
  (void)snprintf(to->addr, sizeof to->addr, "%s", addr);
  (void)snprintf(to->claim, sizeof to->claim, "%s", strchr(claim, '/') + 1);
}

/* In place of what had this number before; doc NULL: nothing. */
static inline void world_put(plane_world *w, size_t number,
                             const route_doc *doc) {
  route *was = w->held[number], *is = doc != NULL ? route_make(doc) : NULL;

  ck_assert(doc == NULL || is != NULL);
  if (is != NULL)
    ck_assert(routes_put(w->set, is, was));
  else if (was != NULL)
    routes_drop(w->set, was);
  w->held[number] = is;
  if (w->engine != NULL)
    engine_changed(w->engine, was, is);
  table_retire(w->table, was, free);
}

/* A live app with one target. */
static inline void world_live(plane_world *w, size_t number, const char *app,
                              const char *host, const char *addr,
                              const char *claim) {
  route_doc doc = doc_of(app, host, ROUTE_LIVE);

  doc_to(&doc, addr, claim);
  world_put(w, number, &doc);
}

static inline void world_open_table(plane_world *w) {
  memset(w, 0, sizeof *w);
  ck_assert_int_eq(uv_loop_init(&w->loop), 0);
  w->table = table_new();
  w->metrics = metrics_new();
  ck_assert(w->table != NULL && w->metrics != NULL);
  w->set = routes_new(w->table, 0);
  ck_assert_ptr_nonnull(w->set);
  table_publish(w->table, w->set);
  table_set_ready(w->table, true);
}

static inline void world_open_engine(plane_world *w, engine_config config) {
  char error[256] = "";
  const char *colon;

  config.self = config.self != NULL ? config.self : "b1";
  config.listen = config.listen != NULL ? config.listen : "127.0.0.1:0";
  config.threads = config.threads != 0 ? config.threads : 1;
  config.table = w->table;
  config.metrics = w->metrics;
  w->engine = plane_open(&w->loop, &config, error, sizeof error);
  ck_assert_msg(w->engine != NULL, "%s", error);
  colon = strrchr(engine_address(w->engine), ':');
  ck_assert_ptr_nonnull(colon);
  w->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static inline void world_open(plane_world *w, engine_config config) {
  world_open_table(w);
  world_open_engine(w, config);
}

static inline void world_close(plane_world *w) {
  if (w->engine != NULL)
    engine_close(w->engine);
  w->engine = NULL;
  ck_assert_int_eq(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(uv_loop_close(&w->loop), 0);
  table_free(w->table);
  for (size_t i = 0; i < WORLD_ROUTES; i++)
    free(w->held[i]);
  metrics_free(w->metrics);
}

static inline void world_on_drained(void *ctx) {
  ((plane_world *)ctx)->drained = true;
}

/* A counter that the engine has made. */
static inline int64_t world_count(const plane_world *w, const char *name,
                                  const char *labels) {
  return metric_value(metrics_counter(w->metrics, name, labels, ""));
}

/* ---- visitors ---- */

static inline void visitor(const plane_world *w, cft_client *c) {
  ck_assert(cft_client_connect(c, w->port));
}

#endif
