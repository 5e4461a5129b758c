/*
 * Counters and the log of requests.
 */
#include "book.h"

#include <stdlib.h>
#include <string.h>

void couch_book_init(couch_book *book) {
  *book = (couch_book){.first = 1, .next = 1};
  book->lines = couch_alloc(COUCH_LOG_MAX * sizeof *book->lines);
}

static couch_line *line_of(const couch_book *book, uint64_t number) {
  return &book->lines[number % COUCH_LOG_MAX];
}

static void line_free(couch_line *line) {
  free(line->method);
  free(line->target);
  *line = (couch_line){0};
}

void couch_book_free(couch_book *book) {
  for (uint64_t n = book->first; n < book->next; n++)
    line_free(line_of(book, n));
  free(book->lines);
  book->lines = NULL;
}

uint64_t couch_book_request(couch_book *book, const couch_request *r,
                            int64_t at_ms) {
  const char *kind = couch_request_kind(r);
  uint64_t number = book->next++;
  couch_line *line = line_of(book, number);
  size_t i = 0;
  while (i < book->count && strcmp(book->counts[i].kind, kind) != 0)
    i++;
  if (i == book->count && book->count < COUCH_KINDS)
    book->counts[book->count++].kind = kind;
  if (i < book->count)
    book->counts[i].requests++;
  book->requests++;
  if (number - book->first >= COUCH_LOG_MAX)
    line_free(line_of(book, book->first++));
  *line = (couch_line){.number = number,
                       .at_ms = at_ms,
                       .done_ms = -1,
                       .node = r->node,
                       .kind = kind,
                       .method = couch_dup(r->method),
                       .target = couch_dup(r->target)};
  return number;
}

void couch_book_done(couch_book *book, uint64_t number, int status,
                     int64_t at_ms) {
  if (number < book->first || number >= book->next)
    return;
  line_of(book, number)->status = status;
  line_of(book, number)->done_ms = at_ms;
}

void couch_book_counters(const couch_book *book, couch_buf *json) {
  couch_addf(json,
             "{\"requests\":%llu,\"bad_requests\":%llu,\"feeds\":%zu,"
             "\"connections\":%zu,\"accepted\":%llu,\"bytes_out\":%llu,"
             "\"kinds\":{",
             (unsigned long long)book->requests, (unsigned long long)book->bad,
             book->feeds, book->connections, (unsigned long long)book->accepted,
             (unsigned long long)book->bytes_out);
  for (size_t i = 0; i < book->count; i++)
    couch_addf(json, "%s\"%s\":%llu", i > 0 ? "," : "", book->counts[i].kind,
               (unsigned long long)book->counts[i].requests);
  couch_add_text(json, "}}");
}

void couch_book_log(const couch_book *book, uint64_t since, couch_buf *json) {
  uint64_t n = since < book->first ? book->first : since;
  couch_addf(json, "{\"next\":%llu,\"requests\":[",
             (unsigned long long)book->next);
  for (bool some = false; n < book->next; n++, some = true) {
    const couch_line *line = line_of(book, n);
    couch_addf(json,
               "%s{\"number\":%llu,\"at_ms\":%lld,\"done_ms\":%lld,"
               "\"node\":%u,\"kind\":\"%s\",\"method\":",
               some ? "," : "", (unsigned long long)n, (long long)line->at_ms,
               (long long)line->done_ms, line->node, line->kind);
    couch_add_json_text(json, line->method);
    couch_add_text(json, ",\"target\":");
    couch_add_json_text(json, line->target);
    couch_addf(json, ",\"status\":%d}", line->status);
  }
  couch_add_text(json, "]}");
}
