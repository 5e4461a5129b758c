/* The pages: what each says, and its three forms. See pages.h. */
#include "balancer/pages.h"

#include "balancer/pages_form.h"
#include "common/escape.h"
#include <stdio.h>
#include <string.h>

enum { DETAIL_MOST = 400, CODE_LEN = 3 };

typedef struct sheet {
  enum page page;
  int status;
  int retry_s; /* when it is worth to come again; 0: nobody knows */
  bool again;  /* a browser does so by itself */
  const char *title, *sentence;
} sheet;

static const sheet sheets[PAGES] = {
    {PAGE_UNKNOWN, 404, 0, false, "No site here",
     "There is no site at this address. Please check how it is spelled."},
    {PAGE_STARTING, 503, 2, true, "Starting",
     "This site is starting. It will be there in a moment."},
    {PAGE_CRASHED, 503, 10, false, "Not running",
     "This site has a problem of its own and does not run at the moment. "
     "Please come back later."},
    {PAGE_STOPPED, 503, 0, false, "Switched off",
     "This site is switched off. Its owner can start it."},
    {PAGE_QUEUED, 503, 10, true, "Waiting to start",
     "This site waits for its turn to start."},
    {PAGE_MISROUTED, 503, 1, false, "Moving",
     "This site is being moved. Please try again in a moment."},
    {PAGE_NOT_SYNCED, 503, 2, false, "One moment",
     "This service has only just started and is still learning where its "
     "sites are. Please try again in a moment."},
    {PAGE_REFUSED, 502, 2, false, "Not answering",
     "This site takes no visitors at the moment. Please try again in a "
     "moment."},
    {PAGE_UNREACHABLE, 504, 5, false, "Not reachable",
     "This site could not be reached in time. Please try again in a moment."},
    {PAGE_BROKEN, 502, 0, false, "A broken answer",
     "This site gave an answer that cannot be passed on."},
    {PAGE_LATE, 504, 0, false, "Too slow",
     "This site took too long to answer."},
    {PAGE_BUSY, 503, 1, false, "Busy",
     "This site has too many visitors at the moment. Please try again "
     "shortly."},
    {PAGE_BAD, 400, 0, false, "Bad request",
     "What your browser or program has sent is not understood here."},
    {PAGE_LIMIT, 431, 0, false, "Too much",
     "What your browser or program has sent is too large, or came too "
     "slowly."},
    {PAGE_APP_MAINTENANCE, 503, 60, false, "Maintenance",
     "This site is being worked on. It will be back."},
    {PAGE_MAINTENANCE, 503, 60, false, "Maintenance",
     "All sites here are being worked on. They will be back."},
    {PAGE_INTERNAL, 500, 0, false, "Something went wrong",
     "This service could not answer. Please try again."},
};

static const char codes[PAGES][CODE_LEN + 1] = {
    "E01", "E02", "E03", "E04", "E05", "E06", "E09", "E10", "E11",
    "E12", "E13", "E14", "E20", "E21", "E30", "E31", "E99"};

/* What is none is told as a fault of ours. */
static size_t index_of(enum page page) {
  size_t i = 0;

  while (i < PAGES - 1 && sheets[i].page != page)
    i++;
  return i;
}

const char *page_code(enum page page) { return codes[index_of(page)]; }

enum page page_at(size_t i) { return sheets[i < PAGES ? i : PAGES - 1].page; }

int page_status(enum page page) { return sheets[index_of(page)].status; }

/* ---- forms ---- */

static const char style[] =
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:flex;align-items:center;"
    "justify-content:center;padding:1.25rem;background:#f4f5f7;color:#1c2330;"
    "font:1.0625rem/1.55 system-ui,-apple-system,\"Segoe UI\",sans-serif}"
    "main{width:100%;max-width:32rem;padding:2rem 1.75rem;background:#fff;"
    "border:1px solid #dde1e8;border-radius:.75rem;"
    "overflow-wrap:anywhere}"
    "h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}"
    "p{margin:0 0 .75rem}"
    "small{display:block;margin-top:1.5rem;color:#596273;font-size:.8125rem}"
    "@media(prefers-color-scheme:dark){"
    "body{background:#14171c;color:#e6e9ef}"
    "main{background:#1d2128;border-color:#323843}small{color:#9aa4b5}}";

/* detail is clean; id may be "". */
static void write_html(const sheet *s, int status, const char *detail,
                       const char *id, text *out) {
  text_str(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n"
                "<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" "
                "content=\"width=device-width,initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n"
                "<meta name=\"robots\" content=\"noindex\">\n");
  if (s->again)
    text_printf(out, "<meta http-equiv=\"refresh\" content=\"%d\">\n",
                s->retry_s);
  text_printf(out,
              "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n"
              "<main>\n<h1>%s</h1>\n<p>%s</p>\n",
              s->title, style, s->title, s->sentence);
  if (detail[0] != '\0') {
    text_str(out, "<p>");
    escape_markup(out, detail);
    text_str(out, "</p>\n");
  }
  text_printf(out, "<small>%s &middot; %d", page_code(s->page), status);
  if (id[0] != '\0') {
    text_str(out, " &middot; request ");
    escape_markup(out, id);
  }
  text_str(out, "</small>\n</main>\n</body>\n</html>\n");
}

static void write_json(const sheet *s, int status, const char *detail,
                       const char *id, text *out) {
  text_printf(out, "{\"error\":\"%s\",\"status\":%d,\"message\":",
              page_code(s->page), status);
  escape_json(out, s->sentence);
  if (detail[0] != '\0') {
    text_str(out, ",\"detail\":");
    escape_json(out, detail);
  }
  if (id[0] != '\0') {
    text_str(out, ",\"request_id\":");
    escape_json(out, id);
  }
  if (s->retry_s != 0)
    text_printf(out, ",\"retry_after\":%d", s->retry_s);
  text_str(out, "}\n");
}

static void write_text(const sheet *s, int status, const char *detail,
                       const char *id, text *out) {
  text_printf(out, "%s %d %s", page_code(s->page), status, s->sentence);
  if (detail[0] != '\0')
    text_printf(out, " %s", detail);
  if (id[0] != '\0')
    text_printf(out, " (request %s)", id);
  text_str(out, "\n");
}

static void clean_words(text *out, const char *words) {
  if (words != NULL)
    escape_clean(out, words, DETAIL_MOST);
}

void page_html(enum page page, const char *detail, text *out) {
  const sheet *s = &sheets[index_of(page)];
  text clean = TEXT_INIT;

  clean_words(&clean, detail);
  write_html(s, s->status, text_get(&clean), "", out);
  text_free(&clean);
}

/* ---- an answer ---- */

static void put(page_answer *out, const char *name, const char *value) {
  http_field *field = &out->fields[out->field_count++];

  field->name = (http_str){name, strlen(name)};
  field->value = (http_str){value, strlen(value)};
}

static void put_type(page_answer *out, enum page_form form) {
  switch (form) {
  case PAGE_FORM_HTML:
    put(out, "Content-Type", "text/html; charset=utf-8");
    /* The site's name is the app's: nothing may come in by our page. */
    put(out, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'");
    break;
  case PAGE_FORM_JSON:
    put(out, "Content-Type", "application/json");
    break;
  default:
    put(out, "Content-Type", "text/plain; charset=utf-8");
  }
}

static void put_fields(page_answer *out, const sheet *s, const char *id) {
  put(out, "X-Balancer-Error", out->code);
  if (id[0] != '\0')
    put(out, "X-Request-Id", id);
  put(out, "Cache-Control", "no-store");
  put(out, "Vary", "Accept");
  put(out, "X-Content-Type-Options", "nosniff");
  if (s->retry_s != 0) {
    (void)snprintf(out->retry, sizeof out->retry, "%d", s->retry_s);
    put(out, "Retry-After", out->retry);
  }
}

void page_make(page_answer *out, enum page page, int status, http_str accept,
               const char *id, const char *detail) {
  const sheet *s = &sheets[index_of(page)];
  enum page_form form = page_form_of(accept);
  text clean = TEXT_INIT, clean_id = TEXT_INIT;

  memset(out, 0, sizeof *out);
  out->status = status != 0 ? status : s->status;
  memcpy(out->code, page_code(page), sizeof out->code);
  put_type(out, form);
  put_fields(out, s, id);
  clean_words(&clean, detail);
  clean_words(&clean_id, id);
  if (form == PAGE_FORM_HTML)
    write_html(s, out->status, text_get(&clean), text_get(&clean_id),
               &out->body);
  else if (form == PAGE_FORM_JSON)
    write_json(s, out->status, text_get(&clean), text_get(&clean_id),
               &out->body);
  else
    write_text(s, out->status, text_get(&clean), text_get(&clean_id),
               &out->body);
  text_free(&clean);
  text_free(&clean_id);
  if (out->body.failed) /* half a page would be worse than none */
    text_free(&out->body);
}

void page_free(page_answer *out) { text_free(&out->body); }
