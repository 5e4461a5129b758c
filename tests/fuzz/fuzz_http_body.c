/*
 * Bodies of any bytes, whole and in pieces: the same data, the same end, the
 * same refusal. The first byte says which framing and how large the pieces are;
 * the second a length.
 */
#include "fuzz/fuzz.h"

#include "common/http_body.h"
#include <string.h>

typedef struct outcome {
  text data;
  const char *why;
  size_t used;
  bool done;
} outcome;

static void read_body(outcome *o, const http_head *head, const char *bytes,
                      size_t len, size_t step) {
  http_body b;

  *o = (outcome){.data = TEXT_INIT};
  http_body_start(&b, head);
  while (o->used < len && !b.done) {
    size_t n = len - o->used < step ? len - o->used : step, taken = 0, used;
    http_str data;

    do {
      if (!http_body_next(&b, bytes + o->used + taken, n - taken, &used, &data,
                          &o->why))
        goto done;
      CFT_FUZZ_CHECK(used <= n - taken && data.len <= used);
      CFT_FUZZ_CHECK(data.len == 0 ||
                     (data.data >= bytes + o->used + taken &&
                      data.data + data.len <= bytes + o->used + taken + used));
      text_add(&o->data, data.data, data.len);
      taken += used;
    } while (used != 0 && !b.done);
    CFT_FUZZ_CHECK(b.done || taken == n);
    o->used += taken;
  }
done:
  o->done = b.done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const enum http_framing framings[] = {HTTP_CHUNKED, HTTP_LENGTH,
                                               HTTP_CHUNKED, HTTP_CLOSE};
  http_head head = {.framing = HTTP_NONE};
  outcome whole, pieces;
  const char *bytes;

  if (size < 2)
    return 0;
  head.framing = framings[data[0] & 3];
  head.length = data[1];
  bytes = (const char *)data + 2;
  size -= 2;
  read_body(&whole, &head, bytes, size, size);
  read_body(&pieces, &head, bytes, size, (size_t)(data[0] >> 2) + 1);
  CFT_FUZZ_CHECK(whole.done == pieces.done && whole.why == pieces.why);
  CFT_FUZZ_CHECK(whole.data.len == pieces.data.len);
  CFT_FUZZ_CHECK(strcmp(text_get(&whole.data), text_get(&pieces.data)) == 0);
  CFT_FUZZ_CHECK(whole.why != NULL || whole.used == pieces.used);
  text_free(&whole.data);
  text_free(&pieces.data);
  return 0;
}
