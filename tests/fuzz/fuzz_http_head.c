/*
 * Heads of any bytes: the same result in one piece and in two; what is taken is
 * within the bytes, has one framing and one host, and reads the same again when
 * it is written from what was understood. The first byte says whether it is a
 * request, and where the bytes are cut.
 */
#include "fuzz/fuzz.h"

#include "common/http_head.h"
#include <string.h>

typedef struct outcome {
  int status;
  size_t used;
  const char *why;
} outcome;

static const http_str get = {"GET", 3};

static outcome once(bool response, http_head *h, const char *data, size_t len,
                    size_t *scanned) {
  outcome o = {0, 0, NULL};

  o.status = response ? http_head_response(h, data, len, HTTP_HEAD_MOST,
                                           scanned, get, &o.used, &o.why)
                      : http_head_request(h, data, len, HTTP_HEAD_MOST, scanned,
                                          &o.used, &o.why);
  return o;
}

static void within(http_str s, const char *data, size_t used) {
  if (s.len == 0 || http_str_same(s, "/") || http_str_same(s, "*"))
    return;
  CFT_FUZZ_CHECK(s.data >= data && s.data + s.len <= data + used);
}

static size_t times(const http_head *h, const char *name) {
  size_t n = 0;

  for (size_t i = 0; i < h->count; i++)
    n += http_str_is(h->fields[i].name, name);
  return n;
}

static void check_head(const http_head *h, const char *data, size_t used) {
  within(h->method, data, used);
  within(h->target, data, used);
  within(h->host, data, used);
  within(h->reason, data, used);
  for (size_t i = 0; i < h->count; i++) {
    within(h->fields[i].name, data, used);
    within(h->fields[i].value, data, used);
    CFT_FUZZ_CHECK(
        memchr(h->fields[i].value.data, '\r', h->fields[i].value.len) == NULL);
  }
  CFT_FUZZ_CHECK(times(h, "content-length") + times(h, "transfer-encoding") <=
                 1);
  CFT_FUZZ_CHECK(h->response || h->minor == 0 || times(h, "host") == 1);
  CFT_FUZZ_CHECK(h->framing != HTTP_CHUNKED ||
                 times(h, "transfer-encoding") == 1);
}

static void write_again(const http_head *h) {
  text out = TEXT_INIT;
  http_head again;
  size_t scanned = 0;
  outcome o;

  CFT_FUZZ_CHECK(h->response ? http_put_status(&out, h->status, h->reason)
                             : http_put_request(&out, h->method, h->target));
  for (size_t i = 0; i < h->count; i++) {
    if (!http_str_is(h->fields[i].name, "content-length") &&
        !http_str_is(h->fields[i].name, "transfer-encoding"))
      CFT_FUZZ_CHECK(http_put_copy(&out, &h->fields[i]));
  }
  /* A head of HTTP/1.0 needs not name a host, and ours is of 1.1. */
  if (!h->response && h->host_field.len == 0)
    CFT_FUZZ_CHECK(http_put_field_text(&out, "Host", "a"));
  http_put_framing(&out, h->framing, h->length);
  http_put_end(&out);
  CFT_FUZZ_CHECK(!out.failed);
  o = once(h->response, &again, out.data, out.len, &scanned);
  /* It may have grown over the limits, or been of HTTP/1.0 with an Expect. */
  if (o.status == HTTP_HEAD_DONE) {
    CFT_FUZZ_CHECK(o.used == out.len);
    CFT_FUZZ_CHECK(again.framing == h->framing || h->response);
    CFT_FUZZ_CHECK(again.length == h->length || h->framing != HTTP_LENGTH);
    CFT_FUZZ_CHECK(again.target.len == h->target.len);
  } else {
    CFT_FUZZ_CHECK(o.status == 431 || o.status == 414 || o.status == 417 ||
                   (o.status == 502 && out.len > HTTP_HEAD_MOST - 64));
  }
  text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *bytes;
  size_t scanned = 0, cut;
  http_head h, other;
  outcome whole, o;
  bool response;
  char *copy;

  if (size == 0)
    return 0;
  response = (data[0] & 1) != 0;
  bytes = (const char *)data + 1;
  size--;
  whole = once(response, &h, bytes, size, &scanned);
  CFT_FUZZ_CHECK(whole.status == HTTP_HEAD_MORE ||
                 whole.status == HTTP_HEAD_DONE ||
                 (whole.status >= 400 && whole.status <= 505));
  CFT_FUZZ_CHECK(whole.status <= HTTP_HEAD_DONE || whole.why != NULL);
  if (whole.status == HTTP_HEAD_DONE) {
    CFT_FUZZ_CHECK(whole.used <= size && whole.used <= HTTP_HEAD_MOST);
    check_head(&h, bytes, whole.used);
    write_again(&h);
  }

  cut = size != 0 ? (size_t)(data[0] >> 1) * 37 % size : 0;
  copy = malloc(cut != 0 ? cut : 1);
  if (copy == NULL)
    return 0;
  if (cut != 0)
    memcpy(copy, bytes, cut);
  scanned = 0;
  o = once(response, &other, copy, cut, &scanned);
  if (o.status == HTTP_HEAD_MORE)
    o = once(response, &other, bytes, size, &scanned);
  CFT_FUZZ_CHECK(o.status == whole.status && o.used == whole.used &&
                 o.why == whole.why);
  free(copy);
  return 0;
}
