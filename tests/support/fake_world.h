/*
 * A world for one feed without sockets and with a clock that only the test
 * moves: records what the feed asks for and lets the test answer.
 */
#ifndef CFT_FAKE_WORLD_H
#define CFT_FAKE_WORLD_H

#include "feed.h"

enum { CFT_WORLD_REQUESTS = 4096, CFT_WORLD_ROWS = 4096, CFT_WORLD_TEXT = 512 };

typedef struct cft_world {
  cfi_alloc alloc;
  int64_t now_ms, wall_ms;
  changefeed *feed;
  changefeed_options *options;
  cfi_error error;

  size_t requests; /* made, those beside others not counted */
  struct {
    cfi_ask ask;
    int64_t at_ms;
    char url[CFT_WORLD_TEXT];
    char body[CFT_WORLD_TEXT];
    char cookie[64];
  } request[CFT_WORLD_REQUESTS];
  bool active; /* a request is under way */
  unsigned cancels, unblocks;

  /* Beside it. Checks of a response are answered at once, as a healthy server
     would, unless held. */
  bool hold_checks;
  const char *database; /* what GET /db answers then; NULL: as greeted */
  size_t side_requests;
  unsigned side_cancels;
  struct {
    bool active, put;
    cfi_ask ask;
    char url[CFT_WORLD_TEXT];
    char body[2 * CFT_WORLD_TEXT];
  } side;

  size_t rows; /* delivered */
  struct {
    uint64_t ordinal;
    char id[64], rev[64], seq[64];
    unsigned flags;
  } row[CFT_WORLD_ROWS];
  int verdict;                 /* what on_change answers */
  char states[CFT_WORLD_TEXT]; /* names of states told, with spaces */
  int last_state, last_code;
  int64_t last_delay_ms;
  unsigned last_attempt;
  char reset_reason[128];
  unsigned resets;
  uint64_t rewind_rows;
  unsigned fallbacks; /* and other notices */
  int notice;         /* the kind of the last */
  char notice_reason[256];
} cft_world;

/* Options are name, value pairs up to NULL; url is set unless given. */
void cft_world_open(cft_world *w, const char *const *options);
/* cfi_feed_new's result, with memory of alloc (NULL: malloc); when it is not
   CHANGEFEED_OK nothing is open. */
int cft_world_try(cft_world *w, const cfi_alloc *alloc,
                  const char *const *options);
void cft_world_close(cft_world *w);

/* Steps until the feed has nothing to do now. */
void cft_world_settle(cft_world *w);
/* Moves the clock on, stopping at each deadline of the feed. */
void cft_world_pass(cft_world *w, int64_t ms);
/* To the next deadline; fails the test when there is none. */
void cft_world_to_deadline(cft_world *w);

/* The request under way, waited for if need be. */
const char *cft_world_url(cft_world *w);
cfi_ask cft_world_ask(cft_world *w);

/* Pieces of an answer, each followed by settling. */
void cft_world_head(cft_world *w, int status, const char *retry_after);
bool cft_world_body(cft_world *w, const char *text);
/* As cft_world_body, when the feed may run out of memory: then the request
   ends as a transport would end it. */
void cft_world_feed(cft_world *w, const char *text);
void cft_world_done(cft_world *w, int code);
/* All of it at once. */
void cft_world_answer(cft_world *w, int status, const char *body);
/* The same for the request beside the main one, which must be there. */
void cft_world_side_answer(cft_world *w, int status, const char *body);
void cft_world_side_fails(cft_world *w, int code);
/* What it asks; fails the test when there is none. */
cfi_ask cft_world_side_ask(cft_world *w);
/* Waits for requests, and answers probes, until rows are asked for. */
void cft_world_greet(cft_world *w);

#endif
