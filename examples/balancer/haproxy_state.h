/* What the files of the engine "haproxy" share.

   value    what HAProxy's map is to say of a route; pure
   model    the whole map as it is to be, and what HAProxy lacks of it
   answer   what HAProxy says on its runtime socket, taken apart; pure
   link     that socket
   sync     the thread that brings HAProxy's map to the model, and proves it
   config   the configuration HAProxy is started with

   There are two maps. The base is replaced as a whole, by one commit. What has
   changed since lies over it in the other one, which is kept small, because
   HAProxy 2.6 looks through all of a map to change one entry of it: 10 ms and
   more of a hundred thousand. Keys are hosts in lower case; a key of ours has
   capitals, which no folded host has:

     shop.example            a host
     example.org.ANY         "*.example.org"
     ALL                     "ok", or the page all visitors see; not looked for
                             in the base

   Values are a page's code, or a target: ADDRESS|PORT|APP/CLAIM; or "none"
   over what is gone. A route with several targets has HAPROXY_SLOTS of them,
   parted by '!', each as often as the others, of which the configuration takes
   one by chance. */
#ifndef BALANCER_HAPROXY_STATE_H
#define BALANCER_HAPROXY_STATE_H

#include "balancer/engine.h"
#include "balancer/pages.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
  HAPROXY_SLOTS = 12,  /* shared evenly by 2, 3 or 4 targets */
  HAPROXY_LABELS = 10, /* of a pattern, its "*" aside */
  HAPROXY_KEY_MOST = HOST_MOST + 8,
  HAPROXY_LINE_MOST = 4096, /* a key, a blank, a value */
  HAPROXY_PAYLOAD = 8192,   /* bytes of one command; HAProxy's buffer is twice
                               that at least */
  HAPROXY_OVER_MOST = 1000, /* entries over the base */
  HAPROXY_TOGETHER = 64,    /* changes that are sent before an answer is read */
  HAPROXY_SAY = 160
};

/* The maps' names. HAProxy wants a file for each, and to it these are two; all
   that is in them comes by the socket. */
#define HAPROXY_BASE "/dev/null"
#define HAPROXY_OVER "/dev/./null"
#define HAPROXY_GONE "none"
#define HAPROXY_ALL "ALL"
#define HAPROXY_ANY ".ANY"

/* ---- value ---- */

/* The key of a host or a pattern. false: it cannot be served, *why says so. */
bool haproxy_key(const char *host, size_t len, char out[HAPROXY_KEY_MOST + 1],
                 const char **why);
/* Adds the value; false for want of memory, or when the route has what does not
   belong there. */
bool haproxy_value(const route *r, text *out);
/* The value of HAPROXY_ALL. */
const char *haproxy_notice(const table *t);
/* Whether these bytes may go into a command: they end none, begin none, and
   part no words. */
bool haproxy_is_plain(const char *s, size_t len);

/* ---- model ---- */

typedef struct haproxy_model haproxy_model;

typedef struct haproxy_digest {
  uint64_t sum, count;
} haproxy_digest;

/* One line of a map: "key value". */
void haproxy_digest_add(haproxy_digest *d, const char *line, size_t len);

haproxy_model *haproxy_model_new(void); /* NULL for want of memory */
void haproxy_model_free(haproxy_model *m);
/* value NULL: gone. false for want of memory: it is as it was. */
bool haproxy_model_set(haproxy_model *m, const char *key, const char *value);
/* Takes over what `from` holds, which is freed, in place of all there was. */
void haproxy_model_become(haproxy_model *m, haproxy_model *from);
/* Whether HAProxy has that value by a batch up to `acked`. */
bool haproxy_model_has(const haproxy_model *m, const char *key,
                       const char *value, uint64_t acked);
size_t haproxy_model_count(const haproxy_model *m);
size_t haproxy_model_waiting(const haproxy_model *m);
/* What the two maps add up to when nothing waits. */
void haproxy_model_digests(const haproxy_model *m, haproxy_digest *base,
                           haproxy_digest *over);
/* HAProxy has nothing, or nobody knows what: all of it is to be sent. */
void haproxy_model_forget(haproxy_model *m);
/* Whether all is to be sent: it was forgotten, or too much would lie over the
   base. */
bool haproxy_model_wants_all(const haproxy_model *m);
/* All lines of the base, and those over it, each with its '\n'; they are as
   good as sent. The batch's number, 0 for want of memory. */
uint64_t haproxy_model_take_all(haproxy_model *m, text *base, text *over);
/* The commands for some changes, a line each, as good as sent; *count of them.
   The batch's number, 0 for want of memory: then all is forgotten. */
uint64_t haproxy_model_take(haproxy_model *m, text *commands, size_t *count);

/* ---- answer ---- */

/* Lines up to a prompt. */
typedef struct haproxy_answer {
  char line[HAPROXY_LINE_MOST];
  size_t len;
  bool over; /* line was handed out */
} haproxy_answer;

enum haproxy_piece {
  HAPROXY_MORE,   /* all bytes are used */
  HAPROXY_LINE,   /* line, len: terminated, without its end */
  HAPROXY_PROMPT, /* the answer is complete */
  HAPROXY_WRONG   /* a line of over HAPROXY_LINE_MOST, or a zero byte */
};

/* Takes *used bytes of data. All zeros is a new one. */
enum haproxy_piece haproxy_answer_next(haproxy_answer *a, const char *data,
                                       size_t len, size_t *used);
/* The value in a line "name: number" of `show info`. */
bool haproxy_info(const char *line, const char *name, uint64_t *value);
/* What a line of `show map` says: "key value"; NULL: it is none. */
const char *haproxy_map_line(const char *line);

/* ---- link ---- */

typedef struct haproxy_link haproxy_link;

/* Each blocks, for some seconds at most, and not once `stop` is readable. */
haproxy_link *haproxy_link_open(const char *path, int stop, char *why,
                                size_t size);
void haproxy_link_close(haproxy_link *l); /* NULL is fine */
/* Sends commands, each ended by '\n', and reads as many answers; each line that
   is not empty goes to on_line, which returns false to give up. false with a
   sentence: the link is of no more use. */
bool haproxy_link_ask(haproxy_link *l, const char *commands, size_t len,
                      size_t answers, bool (*on_line)(void *, const char *),
                      void *ctx, char *why, size_t size);
/* Waits until `wake` or the link is readable, or ms are over; false: HAProxy
   has closed the link, or talks unasked. */
bool haproxy_link_wait(haproxy_link *l, int wake, int64_t ms);

/* ---- sync ---- */

typedef struct haproxy_state {
  bool in_force;  /* the map was replaced by this link, and proven since */
  uint64_t acked; /* batches up to this are in HAProxy's map */
  size_t sent;    /* entries that are not acknowledged yet */
  uint64_t connections, requests;
  uint64_t pid;
  char trouble[HAPROXY_SAY];
} haproxy_state;

typedef struct haproxy_sync {
  const char *path;
  int64_t verify_ms;
  pthread_t thread;
  int wake, stop; /* eventfds: something is to be done; it is to end */
  void (*on_news)(void *ctx); /* the state has changed; the thread calls it */
  void *ctx;
  metric *replaced, *changed, *repaired, *linked;
  pthread_mutex_t lock; /* of what follows */
  haproxy_model *model;
  bool ready; /* the model is worth to be sent; until then HAProxy keeps what it
                 has of another life of ours, or says E09 */
  haproxy_state state;
} haproxy_sync;

/* path, verify_ms, on_news, ctx and metrics are set. false with a sentence. */
bool haproxy_sync_start(haproxy_sync *s, char *error, size_t size);
void haproxy_sync_stop(haproxy_sync *s); /* waits for what is under way */
void haproxy_sync_wake(haproxy_sync *s);

/* ---- config ---- */

/* Adds one word of HAProxy's configuration that stands for s. */
void haproxy_quote(text *out, const char *s);
/* Lines of the configuration that answer with a page, in the form that goes to
   who accepts `accept`; status 0: the page's own; condition: "if ...", or "".

   return: as a rule, "http-request" or "http-response".
   error:  in place of HAProxy's own answer with that status.
   failed: the same, for a server that was not connected: E10 when it refused
           and E11 when it was silent for connect_ms, which HAProxy does not
           tell apart; txn.at is when the request came. */
void haproxy_page_return(text *out, const char *rule, const char *accept,
                         enum page page, int status, const char *condition);
void haproxy_page_error(text *out, const char *accept, enum page page,
                        int status);
void haproxy_page_failed(text *out, const char *accept, int64_t connect_ms);

#endif
