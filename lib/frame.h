/*
 * Finds where rows begin and end in a body that arrives in pieces, by quotes,
 * escapes and depth. A cursor remembers how far it has read and never goes
 * back, whatever the pieces. It does not say what a row means, and copies
 * nothing but the envelope around the rows of a list.
 */
#ifndef CFI_FRAME_H
#define CFI_FRAME_H

#include "buf.h"
#include "row_direct.h"

typedef enum cfi_frame_mode {
  CFI_FRAME_LIST,  /* {"results":[row,row],"last_seq":..}: normal, longpoll */
  CFI_FRAME_LINES, /* one row a line: continuous */
  CFI_FRAME_EVENTS /* server-sent events: eventsource */
} cfi_frame_mode;

typedef enum cfi_frame_kind {
  CFI_FRAME_MORE,     /* nothing complete in what there is */
  CFI_FRAME_ROW,      /* one object, from its { to its } */
  CFI_FRAME_TAIL,     /* LIST: the envelope is complete: cfi_frame_envelope */
  CFI_FRAME_BAD,      /* this is not a feed */
  CFI_FRAME_TOO_LONG, /* a row beyond max_row, or 4 KiB around the rows */
  CFI_FRAME_TOO_DEEP, /* nested deeper than max_depth */
  CFI_FRAME_NOMEM
} cfi_frame_kind;

typedef struct cfi_frame_item {
  size_t offset; /* ROW: of its {, in the bytes given */
  size_t len;
  size_t inner; /* ROW: see cfi_scan */
  /* ROW: what was found on the way, or NULL; until the next call */
  const cfi_row_places *places;
  /* ROW: nothing stood between it and the row before, or it stood where no row
     belongs (a list without its comma, an event without "data:"). Only a
     server's error object may do that. */
  bool stray;
  const char *why; /* BAD, TOO_LONG, TOO_DEEP: half a sentence, static */
} cfi_frame_item;

typedef struct cfi_frame {
  cfi_frame_mode mode;
  /* private to frame.c, but together with what a heartbeat touches */
  int state;             /* what may come, outside of rows */
  cfi_frame_kind failed; /* MORE: not yet */
  bool in_row, stray;
  bool in_string, escaped; /* within the envelope */
  bool line_empty;         /* EVENTS: the event is empty so far */
  bool gap;                /* white space stood before this byte */
  bool after_cr;
  size_t matched; /* bytes of a name that agree so far */
  const char *why;

  size_t pos;       /* bytes looked at, from the front of what is held */
  size_t row;       /* where the row being read begins */
  uint64_t beats;   /* heartbeats seen since init */
  const char *list; /* LIST: the name of the member that holds the rows */
  size_t max_row, max_depth;
  const cfi_scan_path *path; /* the best; tests choose */
  cfi_buf envelope; /* LIST: without the rows and without white space */
  /* private to frame.c from here on */
  int member;    /* LIST: which part of a member of the envelope is read */
  size_t outer;  /* depth within the envelope */
  cfi_scan scan; /* within the row */
  cfi_row_places places;
} cfi_frame;

void cfi_frame_init(cfi_frame *f, const cfi_alloc *alloc, size_t max_row,
                    size_t max_depth);
/* Starts a new body; what was read of the old one is forgotten. */
void cfi_frame_start(cfi_frame *f, cfi_frame_mode mode);
void cfi_frame_free(cfi_frame *f);

/* Looks on from the cursor. data is everything held, the bytes before the
   cursor unchanged. After BAD, TOO_LONG, TOO_DEEP the same comes again until
   cfi_frame_start; after NOMEM the call may be repeated. After TAIL: MORE while
   only white space follows, else BAD. */
cfi_frame_kind cfi_frame_next(cfi_frame *f, const char *data, size_t len,
                              cfi_frame_item *item);
/* How many bytes at the front are not needed any more by the frame. */
size_t cfi_frame_unneeded(const cfi_frame *f);
/* Tells that n bytes were dropped from the front; n <= cfi_frame_unneeded. */
void cfi_frame_dropped(cfi_frame *f, size_t n);
/* True when a row has begun and not ended, or a list is not complete. */
bool cfi_frame_inside(const cfi_frame *f);
/* LIST after TAIL: {"results":[],"last_seq":...}. Until cfi_frame_start. */
changefeed_str cfi_frame_envelope(cfi_frame *f);

#endif
