/*
 * Two readers of the same bytes: whatever our head and body take, http_parser
 * (Debian's libhttp-parser) takes as well, as the same messages: method,
 * target, fields, framing, body, end, and whether another may follow. That we
 * refuse more is fine; CFT_FUZZ_TELL=1 tells at the end what, and how often.
 *
 * Messages are made by a grammar from the bytes: most choices are plausible
 * ones, so that it gets far; bit 2 of the first byte says that what follows is
 * to be taken as it is. Bit 0: answers; bit 1: they are to HEAD.
 */
#include "fuzz/fuzz.h"
#include "fuzz/fuzz_http_grammar.h"

#include "common/http_body.h"
#include <http_parser.h>
#include <string.h>

enum { MESSAGES = 4, REASONS = 80 };

static const http_str head_method = {"HEAD", 4}, get_method = {"GET", 3};

/* ---- what http_parser makes of it ---- */

typedef struct theirs {
  text url, body;
  text names[HTTP_FIELDS + 1], values[HTTP_FIELDS + 1];
  size_t count;
  bool in_value, to_head, headers, complete, keeps, upgrade;
  size_t used;
  enum http_errno error;
  http_parser parser;
} theirs;

static int on_url(http_parser *p, const char *at, size_t len) {
  text_add(&((theirs *)p->data)->url, at, len);
  return 0;
}

static int on_name(http_parser *p, const char *at, size_t len) {
  theirs *t = p->data;

  if (t->headers) /* a trailer */
    return 0;
  if (t->count == 0 || t->in_value) {
    if (t->count > HTTP_FIELDS)
      return 1;
    t->count++;
    t->in_value = false;
  }
  text_add(&t->names[t->count - 1], at, len);
  return 0;
}

static int on_value(http_parser *p, const char *at, size_t len) {
  theirs *t = p->data;

  if (t->headers || t->count == 0)
    return 0;
  t->in_value = true;
  text_add(&t->values[t->count - 1], at, len);
  return 0;
}

static int on_body(http_parser *p, const char *at, size_t len) {
  text_add(&((theirs *)p->data)->body, at, len);
  return 0;
}

/* It leaves to its user which answers have no body, whatever they say. */
static int on_headers(http_parser *p) {
  theirs *t = p->data;
  unsigned status = p->status_code;

  t->headers = true;
  return p->type == HTTP_RESPONSE &&
         (t->to_head || status < 200 || status == 204 || status == 304);
}

static int on_complete(http_parser *p) {
  theirs *t = p->data;

  t->complete = true;
  t->keeps = http_should_keep_alive(p) != 0;
  t->upgrade = p->upgrade != 0;
  http_parser_pause(p, 1);
  return 0;
}

static void read_theirs(theirs *t, bool response, bool to_head, const char *at,
                        size_t len) {
  static const http_parser_settings settings = {
      .on_url = on_url,
      .on_header_field = on_name,
      .on_header_value = on_value,
      .on_headers_complete = on_headers,
      .on_body = on_body,
      .on_message_complete = on_complete};

  memset(t, 0, sizeof *t);
  t->to_head = to_head;
  http_parser_init(&t->parser, response ? HTTP_RESPONSE : HTTP_REQUEST);
  t->parser.data = t;
  t->used = http_parser_execute(&t->parser, &settings, at, len);
  if (!t->complete && HTTP_PARSER_ERRNO(&t->parser) == HPE_OK)
    (void)http_parser_execute(&t->parser, &settings, at, 0); /* the end */
  t->error = HTTP_PARSER_ERRNO(&t->parser);
  if (t->complete && t->error == HPE_PAUSED)
    t->error = HPE_OK;
}

static void free_theirs(theirs *t) {
  text_free(&t->url);
  text_free(&t->body);
  for (size_t i = 0; i <= HTTP_FIELDS; i++) {
    text_free(&t->names[i]);
    text_free(&t->values[i]);
  }
}

/* ---- what we make of it ---- */

typedef struct ours {
  http_head head;
  text body;
  int status;
  size_t used;
  bool whole; /* the body too */
  const char *why;
} ours;

static void read_ours(ours *o, bool response, bool to_head, const char *at,
                      size_t len) {
  size_t scanned = 0, used;
  http_body body;
  http_str data;

  memset(o, 0, sizeof *o);
  o->status =
      response ? http_head_response(&o->head, at, len, HTTP_HEAD_MOST, &scanned,
                                    to_head ? head_method : get_method,
                                    &o->used, &o->why)
               : http_head_request(&o->head, at, len, HTTP_HEAD_MOST, &scanned,
                                   &o->used, &o->why);
  if (o->status != HTTP_HEAD_DONE)
    return;
  o->why = NULL;
  http_body_start(&body, &o->head);
  do {
    if (!http_body_next(&body, at + o->used, len - o->used, &used, &data,
                        &o->why)) {
      o->status = 400;
      return;
    }
    text_add(&o->body, data.data, data.len);
    o->used += used;
  } while (used != 0 && !body.done);
  o->whole = http_body_ends(&body);
}

/* ---- both ---- */

static http_str trimmed(const text *t) {
  http_str s = {text_get(t), t->len};

  while (s.len != 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
    s.len--;
  return s;
}

static bool equal(http_str a, http_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

/* Ours is the path of theirs, whose authority is that of Host. */
static void same_target(const http_head *h, const theirs *t) {
  http_str url = {text_get(&t->url), t->url.len};
  struct http_parser_url u;
  http_str host;

  if (equal(h->target, url))
    return;
  http_parser_url_init(&u);
  CFT_FUZZ_CHECK(http_parser_parse_url(url.data, url.len, 0, &u) == 0);
  CFT_FUZZ_CHECK((u.field_set & (1 << UF_HOST)) != 0 &&
                 (u.field_set & (1 << UF_USERINFO)) == 0);
  host = h->host;
  if (host.len > 2 && host.data[0] == '[')
    host = (http_str){host.data + 1, host.len - 2};
  CFT_FUZZ_CHECK(u.field_data[UF_HOST].len == host.len);
  for (size_t i = 0; i < host.len; i++)
    CFT_FUZZ_CHECK((url.data[u.field_data[UF_HOST].off + i] | 0x20) ==
                   (host.data[i] | 0x20));
  if ((u.field_set & (1 << UF_PATH)) == 0) {
    CFT_FUZZ_CHECK(http_str_same(h->target, "/") ||
                   http_str_same(h->target, "*"));
    return;
  }
  CFT_FUZZ_CHECK(
      equal(h->target, (http_str){url.data + u.field_data[UF_PATH].off,
                                  url.len - u.field_data[UF_PATH].off}));
}

static void same_head(const http_head *h, const theirs *t) {
  CFT_FUZZ_CHECK(t->parser.http_major == 1 && t->parser.http_minor == h->minor);
  if (h->response) {
    CFT_FUZZ_CHECK(t->parser.status_code == (unsigned)h->status);
  } else {
    const char *name = http_method_str((enum http_method)t->parser.method);

    CFT_FUZZ_CHECK(equal(h->method, str(name)));
    same_target(h, t);
  }
  CFT_FUZZ_CHECK(t->count == h->count);
  for (size_t i = 0; i < h->count; i++) {
    CFT_FUZZ_CHECK(equal(h->fields[i].name, trimmed(&t->names[i])));
    CFT_FUZZ_CHECK(equal(h->fields[i].value, trimmed(&t->values[i])));
  }
}

static bool knows_method(http_str method) {
  for (int i = 0; i <= HTTP_SOURCE; i++)
    if (equal(method, str(http_method_str((enum http_method)i))))
      return true;
  return false;
}

/* Proxy-Connection is Connection for it, and nothing for us. */
static bool may_follow(const http_head *h) {
  return h->keep_alive && http_head_find(h, "proxy-connection") == NULL;
}

/* It takes a name that only begins so for the coding, and misses its value. */
static bool is_mistaken(const http_head *h, const theirs *t) {
  static const char coding[] = "transfer-encoding";
  const size_t len = sizeof coding - 1;

  for (size_t i = 0; i < h->count; i++)
    if (h->fields[i].name.len > len &&
        http_str_is((http_str){h->fields[i].name.data, len}, coding))
      return t->error == HPE_INVALID_TRANSFER_ENCODING ||
             t->error == HPE_UNEXPECTED_CONTENT_LENGTH;
  return false;
}

static void same(const ours *o, const theirs *t) {
  const http_head *h = &o->head;

  if (!h->response && !knows_method(h->method)) {
    CFT_FUZZ_CHECK(t->error == HPE_INVALID_METHOD);
    return;
  }
  if (is_mistaken(h, t))
    return;
  CFT_FUZZ_CHECK(t->headers);
  same_head(h, t);
  CFT_FUZZ_CHECK(t->complete == o->whole);
  CFT_FUZZ_CHECK(o->body.len == t->body.len &&
                 (o->body.len == 0 ||
                  memcmp(o->body.data, t->body.data, o->body.len) == 0));
  if (!o->whole) {
    CFT_FUZZ_CHECK(t->error == HPE_INVALID_EOF_STATE);
    return;
  }
  CFT_FUZZ_CHECK(t->error == HPE_OK);
  /* What ends with the connection has its end told by a call of its own. */
  CFT_FUZZ_CHECK(t->used == o->used || h->framing == HTTP_CLOSE);
  CFT_FUZZ_CHECK(t->keeps || !may_follow(h));
  CFT_FUZZ_CHECK(t->upgrade || h->upgrade.len == 0);
}

/* ---- what we refuse and they do not ---- */

static struct {
  const char *why;
  size_t count;
} reasons[REASONS];
static size_t taken, both, more;

static void tell(void) {
  (void)printf("taken by both %zu, refused by both %zu, not whole %zu\n", taken,
               both, more);
  for (size_t i = 0; i < REASONS && reasons[i].why != NULL; i++)
    (void)printf("  only we refuse, %zu: %s\n", reasons[i].count,
                 reasons[i].why);
}

static void note(const ours *o, const theirs *t) {
  static bool asked;
  size_t i = 0;

  if (!asked && getenv("CFT_FUZZ_TELL") != NULL)
    (void)atexit(tell);
  asked = true;
  if (o->status == HTTP_HEAD_DONE || o->status == HTTP_HEAD_MORE) {
    *(o->status == HTTP_HEAD_DONE ? &taken : &more) += 1;
    return;
  }
  if (!t->complete) {
    both++;
    return;
  }
  while (i + 1 < REASONS && reasons[i].why != NULL && reasons[i].why != o->why)
    i++;
  reasons[i].why = o->why;
  reasons[i].count++;
}

/* One message; how long it was, 0: nothing may follow. */
static size_t compare(bool response, bool to_head, const char *at, size_t len) {
  static theirs t;
  static ours o;
  size_t used = 0;

  read_ours(&o, response, to_head, at, len);
  read_theirs(&t, response, to_head, at, len);
  note(&o, &t);
  if (o.status == HTTP_HEAD_DONE) {
    same(&o, &t);
    if (o.whole && may_follow(&o.head) && o.head.framing != HTTP_CLOSE)
      used = o.used;
  }
  text_free(&o.body);
  free_theirs(&t);
  return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bool response, to_head;
  size_t at = 0, used;
  text made = TEXT_INIT;

  if (size == 0)
    return 0;
  response = (data[0] & 1) != 0;
  to_head = (data[0] & 2) != 0;
  if ((data[0] & 4) != 0)
    text_add(&made, data + 1, size - 1);
  else
    grammar_messages(&made, response, data + 1, size - 1);
  if (made.len == 0) {
    text_free(&made);
    return 0;
  }
  for (int i = 0; i < MESSAGES && at < made.len; i++) {
    /* A block of its own for what is left, so that reading on is seen. */
    char *copy = malloc(made.len - at);

    if (copy == NULL)
      break;
    memcpy(copy, made.data + at, made.len - at);
    used = compare(response, to_head, copy, made.len - at);
    free(copy);
    if (used == 0)
      break;
    at += used;
  }
  text_free(&made);
  return 0;
}
