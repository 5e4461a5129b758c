/* What a visitor is told when there is no answer of the app: a page with a
   code, in HTML, JSON or plain text, as he asks for. Nothing in it tells what
   is inside: no address, no claim, no name of a drone. Pure. */
#ifndef BALANCER_PAGES_H
#define BALANCER_PAGES_H

#include "balancer/route.h"
#include "common/http_head.h"

enum page {
  PAGE_UNKNOWN = 1,          /* E01 404 no such host */
  PAGE_STARTING = 2,         /* E02 503 */
  PAGE_CRASHED = 3,          /* E03 503; failed, too */
  PAGE_STOPPED = 4,          /* E04 503 */
  PAGE_QUEUED = 5,           /* E05 503; with its place, where that is known */
  PAGE_MISROUTED = 6,        /* E06 503 the claim was refused, or not echoed */
  PAGE_NOT_SYNCED = 9,       /* E09 503 */
  PAGE_REFUSED = 10,         /* E10 502 */
  PAGE_UNREACHABLE = 11,     /* E11 504 */
  PAGE_BROKEN = 12,          /* E12 502 */
  PAGE_LATE = 13,            /* E13 504 */
  PAGE_BUSY = 14,            /* E14 503 the app's limit of connections */
  PAGE_BAD = 20,             /* E20 400 */
  PAGE_LIMIT = 21,           /* E21 431 414 413 408: status says which */
  PAGE_APP_MAINTENANCE = 30, /* E30 503 */
  PAGE_MAINTENANCE = 31,     /* E31 503 */
  PAGE_INTERNAL = 99         /* E99 500 no memory */
};

enum { PAGES = 17, PAGE_FIELDS = 8 };

typedef struct page_answer {
  int status;
  http_field fields[PAGE_FIELDS]; /* Content-Type, X-Balancer-Error,
                                     X-Request-Id, Cache-Control: no-store,
                                     Retry-After, Vary, and what keeps a page
                                     from being taken for more than it is */
  size_t field_count;
  text body; /* page_free; empty when there was no memory */
  char retry[16], code[4];
} page_answer;

/* accept: of the request's Accept, may be empty; id: X-Request-Id, may be "",
   lives as long as out; status: 0: the page's own; detail: one more sentence
   for people ("3rd in the line", a maintenance's message), or NULL: cut at 400
   bytes, and escaped as the form needs it. out points into itself: it is not
   copied.

   HTML goes to who names text/html in Accept, JSON to who names it, one line of
   text to all others; where several are named, weights decide, then this
   order. A browser comes again by itself where waiting helps (E02, E05). */
void page_make(page_answer *out, enum page page, int status, http_str accept,
               const char *id, const char *detail);
void page_free(page_answer *out);
const char *page_code(enum page page); /* "E01" */
enum page page_at(size_t i);           /* i < PAGES: all of them, in order */
int page_status(enum page page);
/* What a route without a target, or a full stop, says; of a live one 0. */
enum page page_of_route(const route *r);
/* The page's whole HTML for another engine's state pages, without an id. */
void page_html(enum page page, const char *detail, text *out);

#endif
