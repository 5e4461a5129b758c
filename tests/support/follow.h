/* A feed as a test follows it: opened from options given as text, everything
   its callbacks tell is recorded, the loop runs until a condition holds or time
   is up. Any number of them on one loop. A feed lives in the thread of its
   loop, and so does all of this. */
#ifndef CFT_FOLLOW_H
#define CFT_FOLLOW_H

#include "changefeed/changefeed.h"
#include "wire.h"

typedef struct cft_follow cft_follow;

typedef struct cft_seen_row {
  char *id, *rev, *seq; /* rev NULL in _db_updates, seq NULL when absent */
  uint64_t ordinal;
  uint64_t request; /* number of the request that brought it */
  unsigned flags;
  int64_t at_ms; /* of cft_now_ms, as all times here */
} cft_seen_row;

typedef struct cft_seen_state {
  int state, previous;
  unsigned attempt;
  int64_t delay_ms, at_ms;
  int code, http_status, curl_code, retryable; /* of its error; code 0: none */
  int64_t retry_after_ms;
  char *message; /* NULL without an error */
} cft_seen_state;

typedef struct cft_seen_notice {
  int kind;
  uint64_t rows;
  char *from, *to, *reason;
  int64_t at_ms;
} cft_seen_notice;

struct cft_follow {
  /* Set before cft_follow_open; all zero is a plain on_change feed. Hooks run
     inside the callback, on_row before its row is recorded. */
  bool pull;  /* no callback for rows: the test calls changefeed_next */
  bool batch; /* on_batch in place of on_change */
  bool quiet; /* counts rows, keeps neither them nor their revs */
  int (*on_row)(cft_follow *f, const changefeed_change *change); /* verdict */
  int (*on_rows)(cft_follow *f, const changefeed_change *const *changes,
                 size_t count); /* verdict about a batch */
  void (*on_state)(cft_follow *f, const changefeed_event *event);
  void (*on_notice)(cft_follow *f, const changefeed_notice *notice);
  int (*on_reset)(cft_follow *f, const char *reason);
  int64_t (*on_retry)(cft_follow *f, const changefeed_error *error,
                      unsigned attempt, int64_t proposed_ms);
  int (*on_request)(cft_follow *f);
  const changefeed_store *store;
  void *user; /* the test's own */

  changefeed *feed; /* NULL before cft_follow_open and after cft_follow_close */
  changefeed_loop *loop;
  int64_t opened_ms;

  /* What was told. Rows are those that were taken. */
  uint64_t offered, taken;
  cft_revs *revs; /* id -> the last rev */
  cft_seen_row *rows;
  cft_seen_state *states;
  cft_seen_notice *notices;
  char **resets; /* reasons */
  char *log;     /* all lines of on_log, each with a line break; or NULL */
  size_t row_count, state_count, notice_count, reset_count, log_len;
  size_t row_cap, state_cap, notice_cap, reset_cap, log_cap;
  unsigned calls;      /* callbacks of any kind */
  unsigned calls_late; /* of these, after ENDED or FAILED was told */
};

/* Opens a feed of the loop (NULL: one of its own) with options as name, value
   pairs up to a NULL; a list option is added to. Set beforehand: proxy "-",
   retry_min_ms 10, retry_max_ms 100. A failure fails the test. */
void cft_follow_open(cft_follow *f, changefeed_loop *loop, const char *url, ...)
    __attribute__((sentinel));

/* The same, but gives the result back; `why` (of `size` bytes) gets
   changefeed_options_error. */
int cft_follow_try(cft_follow *f, changefeed_loop *loop, char *why, size_t size,
                   const char *url, ...) __attribute__((sentinel));

/* Closes the feed; what was recorded stays. Legal inside hooks. */
void cft_follow_close(cft_follow *f);

/* Closes, frees what was recorded and zeroes *f. */
void cft_follow_clear(cft_follow *f);

/* A new loop; a failure fails the test. */
changefeed_loop *cft_loop(void);

/* Runs the loop until cond(user) holds; what cond said last. cond is asked
   after each round, and at least each 20 ms. */
bool cft_loop_until(changefeed_loop *loop, bool (*cond)(void *user), void *user,
                    int64_t timeout_ms);
/* Runs the loop for that long. */
void cft_loop_for(changefeed_loop *loop, int64_t ms);

/* Run the feed's loop until ... */
bool cft_follow_until_state(cft_follow *f, int state, int64_t timeout_ms);
bool cft_follow_until_rows(cft_follow *f, uint64_t taken, int64_t timeout_ms);
bool cft_follow_until_over(cft_follow *f, int64_t timeout_ms);
bool cft_follow_until_requests(cft_follow *f, uint64_t n, int64_t timeout_ms);
bool cft_follow_until_revs(cft_follow *f, const cft_revs *want,
                           int64_t timeout_ms);

bool cft_follow_is_over(const cft_follow *f);
changefeed_stats cft_follow_stats(const cft_follow *f);
/* changefeed_position as text, "" while there is none. */
void cft_follow_position(const cft_follow *f, char *text, size_t size);

/* How often the state was entered; the last time it was, or NULL. */
size_t cft_follow_times(const cft_follow *f, int state);
const cft_seen_state *cft_follow_last(const cft_follow *f, int state);

/* Rows that came twice with the same id and rev in one response. */
size_t cft_follow_doubles(const cft_follow *f);

#endif
