/* Whose bytes these are; see visit.h. Ours are one line, to the byte: a page
   that only has our word in it somewhere is somebody else's. */
#include "deploybot/visit.h"

#include <stdio.h>
#include <string.h>

enum { LINE_SIZE = NAME_MOST + CLAIM_LEN + 16 };

static size_t line_of(const char *app, const char *nonce, char out[LINE_SIZE]) {
  return (size_t)snprintf(out, LINE_SIZE, "app=%s nonce=%s\n", app, nonce);
}

/* All of the line, or of a cut answer its beginning. */
static bool is_line(const visit_answer *a, const char *app, const char *nonce) {
  char line[LINE_SIZE];
  size_t len = line_of(app, nonce, line);

  if (a->error[0] != '\0')
    return a->total == a->kept && a->kept <= len &&
           memcmp(a->body, line, a->kept) == 0;
  return a->total == len && memcmp(a->body, line, len) == 0;
}

static bool is_ours(const visit_answer *a, const expectation *e) {
  for (size_t i = 0; i < e->ours_count; i++)
    if (is_line(a, e->app, e->ours[i]))
      return true;
  return false;
}

enum verdict visit_judge(const visit_answer *a, const expectation *e) {
  bool whole = a->error[0] == '\0';

  if (a->page[0] != '\0')
    return e->page != NULL && whole && strcmp(a->page, e->page) == 0
               ? SHOWS_IT
               : SHOWS_PAGE;
  if (a->status == 0 || a->status >= 500 || a->total == 0)
    return SHOWS_NOTHING;
  if (!is_ours(a, e))
    return SHOWS_OTHERS;
  if (!whole)
    return SHOWS_NOTHING;
  return e->nonce != NULL && a->status == 200 && is_line(a, e->app, e->nonce)
             ? SHOWS_IT
             : SHOWS_OLDER;
}

void visit_describe_expected(const expectation *e, char *out, size_t size) {
  if (e->nonce != NULL)
    (void)snprintf(out, size, "200 with the nonce %s", e->nonce);
  else
    (void)snprintf(out, size, "the balancer's page %s", e->page);
}

void visit_describe(const visit_answer *a, enum verdict v, finding *f) {
  const char *what = "";
  char page[40];

  if (v == SHOWS_OLDER) {
    what = " with an older version of the app";
  } else if (v == SHOWS_PAGE) {
    (void)snprintf(page, sizeof page, " with the balancer's page %s", a->page);
    what = page;
  } else if (v == SHOWS_OTHERS) {
    what = " with bytes that are not of this app";
  }
  if (a->status == 0)
    (void)snprintf(f->came, sizeof f->came, "no answer (%s)", a->error);
  else
    (void)snprintf(f->came, sizeof f->came, "%d%s%s%s%s", a->status, what,
                   a->error[0] != '\0' ? ", cut (" : "", a->error,
                   a->error[0] != '\0' ? ")" : "");
  memcpy(f->request, a->request, sizeof f->request);
  memcpy(f->body, a->body, a->kept);
  f->body_len = a->kept;
}
