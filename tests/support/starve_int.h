/* What the parts of starve.h share: the run that goes on, its server with the
   rows that are due, and the way to say what does not hold. */
#ifndef CFT_STARVE_INT_H
#define CFT_STARVE_INT_H

#include "changefeed/changefeed.h"
#include "starve.h"

#define CFT_STARVE_PASSWORD "s3cr3t pass+word"

/* One history of the database: what its rows are called. Number i + 1 is the
   i-th. */
typedef struct cft_starve_history {
  char *seq[CFT_STARVE_ROWS], *id[CFT_STARVE_ROWS];
  size_t rows;
} cft_starve_history;

typedef struct cft_starving {
  const cft_starve *s;
  char *members; /* of each document; or NULL */
  cft_mini *mini;
  cft_peer *front;
  int refusing;
  char url[256], dir[64], path[96], socket[96];
  cft_failing *memory;
  size_t fail_at, fails, bursts, gap; /* for messages */

  changefeed_loop *loop;
  changefeed *feed;
  cft_starve_history histories[2];
  size_t begun; /* histories */
  size_t now;   /* the one that the feed was told of */
  bool happened;
  char *record; /* of the application's store */
  size_t record_len;
  char stale[256]; /* the position of a history that is gone */

  uint64_t taken; /* rows in all, of this feed */
  uint64_t ordinal[CFT_STARVE_ROWS];
  bool acked[CFT_STARVE_ROWS];
  size_t last; /* number of the last row */
  size_t resets, faults;
  bool over;
} cft_starving;

extern cft_starving cft_starving_now;

void cft_starve_complain(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#define HOLDS(ok, ...)                                                         \
  do {                                                                         \
    if (!(ok))                                                                 \
      cft_starve_complain(__FILE__, __LINE__, __VA_ARGS__);                    \
  } while (0)

/* ---- starve_server.c ---- */

void cft_starve_begin_server(void);
void cft_starve_end_server(void);
/* Rows of the history that is there now. */
void cft_starve_put_rows(size_t count);
/* They are gone, there are others now, of another history. */
void cft_starve_recreate(void);

/* ---- starve_feed.c ---- */

void cft_starve_make_loop(const changefeed_allocator *allocator);
void cft_starve_open(void);
void cft_starve_take(const changefeed_change *change);
/* The number of the row that the stored position is at; it is checked. 0:
   nothing is stored, or a position of a history that is gone. */
size_t cft_starve_saved(void);

/* ---- starve.c ---- */

/* Begins a run; follows to its end, with this allocator or NULL. */
void cft_starve_begin(const cft_starve *s, cft_failing *memory);
void cft_starve_follow(const changefeed_allocator *allocator);

#endif
