/* A mirror as a test follows it, over couchsim: opened from a config and
   options given as text, everything its callbacks tell is recorded and checked
   at once (a document is put before it is gone, and once; a value is freed
   once), the loop runs until a condition holds or time is up. And a mirror held
   against the database. */
#ifndef CFT_MIRRORED_H
#define CFT_MIRRORED_H

#include "changefeed/mirror.h"
#include "couchsim.h"

typedef struct cft_mirrored cft_mirrored;

enum cft_told {
  CFT_TOLD_PUT,
  CFT_TOLD_GONE,
  CFT_TOLD_SYNCED,
  CFT_TOLD_STALE,
  CFT_TOLD_FRESH,
  CFT_TOLD_DIFFERENCE,
  CFT_TOLD_AUDIT,
  CFT_TOLD_OVER
};
enum { CFT_TOLD_KINDS = CFT_TOLD_OVER + 1 };

/* What on_put makes with CHANGEFEED_KEEP_VALUES; lives until
   cft_mirrored_clear, so that a stale pointer can be looked at. */
typedef struct cft_made {
  char *id, *rev, *doc; /* doc NULL: the entry had none */
  unsigned freed;
} cft_made;

typedef struct cft_seen_told {
  enum cft_told kind;
  char *id, *rev; /* rev of a difference: the mirror's; or NULL */
  char *served;   /* of a difference, or NULL */
  char *doc;      /* NULL: none */
  void *value;    /* of the entry */
} cft_seen_told;

struct cft_mirrored {
  /* Set before cft_mirrored_open. */
  changefeed_mirror_config config; /* its callbacks are set by open */
  const changefeed_allocator *allocator;
  bool quiet;       /* counts only */
  bool keep_values; /* on_put answers the value that is held */
  /* Inside each callback, when it is recorded; the verdict of on_put. */
  int (*on_told)(cft_mirrored *f, enum cft_told kind,
                 const changefeed_entry *entry);
  const changefeed_callbacks *feed_callbacks;
  void *user; /* the test's own */

  changefeed_mirror *mirror; /* NULL when closed */
  changefeed_loop *loop;
  bool own_loop;

  cft_seen_told *told;
  size_t told_count, told_cap;
  uint64_t count[CFT_TOLD_KINDS];
  uint64_t late;   /* callbacks behind on_over, free_value aside */
  cft_revs *there; /* what was put and is not gone, "" when gone */
  cft_made **made;
  size_t made_count, made_cap;
  changefeed_audit audit; /* the last one */
  int over_code;          /* of on_over; 0: stopped */
  char over[512];         /* its sentence */
};

/* Opens a mirror of a database of the loop (NULL: one of its own) with options
   as name, value pairs up to a NULL. Set beforehand: proxy "-", retry_min_ms
   10, retry_max_ms 100. A failure fails the test. */
void cft_mirrored_open(cft_mirrored *f, changefeed_loop *loop, const char *url,
                       ...) __attribute__((sentinel));
/* The same, but gives the result back; why (of size bytes) gets
   changefeed_options_error. */
int cft_mirrored_try(cft_mirrored *f, changefeed_loop *loop, char *why,
                     size_t size, const char *url, ...)
    __attribute__((sentinel));
/* Closes the mirror; what was recorded stays. Legal inside callbacks. */
void cft_mirrored_close(cft_mirrored *f);
/* Closes, checks that each value was freed once, frees, and zeroes all. */
void cft_mirrored_clear(cft_mirrored *f);

/* Runs the loop until so many of a kind were told. */
bool cft_mirrored_until(cft_mirrored *f, enum cft_told kind, uint64_t count,
                        int64_t timeout_ms);
bool cft_mirrored_until_synced(cft_mirrored *f, int64_t timeout_ms);

changefeed_mirror_stats cft_mirrored_stats(cft_mirrored *f);
uint64_t cft_mirrored_documents(cft_mirrored *f);
/* The revision held of an id, "" for none; valid until the next call. */
const char *cft_mirrored_rev(cft_mirrored *f, const char *id);

/* ---- against the database ---- */

/* True when a version of the mirror holds what _all_docs of a node lists within
   from <= id < to (NULL: no bound), and its digest is the one computed of that
   list. Else why (of size bytes) says what differs. */
bool cft_view_is(const changefeed_view *view, cft_couchsim *sim, unsigned node,
                 const char *db, const char *from, const char *to, char *why,
                 size_t size);
/* Runs the loop until the mirror holds what node 0 lists of its range, and what
   was told is the same; fails the test when it does not come to that. */
void cft_mirrored_expect(cft_mirrored *f, cft_couchsim *sim, const char *db,
                         int64_t timeout_ms);

#endif
