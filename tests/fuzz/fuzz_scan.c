/*
 * Every path of the scanner over the same bytes, whole and in pieces: each
 * finds what the portable one finds, and the byte machine below.
 *
 * Input: flags, then the object, whose first byte is the seed of the pieces.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "scan.h"

enum { TEXT_MAX = 8192 };

typedef struct found {
  cfi_scan scan;
  cfi_scan_result result;
  size_t pos;
} found;

/* What the words of scan.h say, one byte after the other. */
static found plainly(const char *text, size_t len, size_t max_depth,
                     bool one_line) {
  found f;

  memset(&f, 0, sizeof f);
  while (f.pos < len && f.result == CFI_SCAN_MORE) {
    unsigned char c = (unsigned char)text[f.pos++];

    if (f.scan.in_string && c < 0x20) {
      f.result = CFI_SCAN_CONTROL;
    } else if (f.scan.escaped) {
      f.scan.escaped = false;
    } else if (f.scan.in_string) {
      f.scan.escaped = c == '\\';
      f.scan.in_string = c != '"';
    } else if (c == '"') {
      f.scan.in_string = true;
    } else if (c == '{' || c == '[') {
      if (f.scan.depth == max_depth)
        f.result = CFI_SCAN_TOO_DEEP;
      else if (f.scan.depth++ <= 1)
        f.scan.inner = f.pos - 1;
    } else if (c == '}' || c == ']') {
      if (--f.scan.depth == 0)
        f.result = CFI_SCAN_END;
    } else if (one_line && (c == '\n' || c == '\r')) {
      f.result = CFI_SCAN_BREAK;
    }
  }
  return f;
}

static bool same(const found *a, const found *b) {
  if (a->result != b->result || a->pos != b->pos)
    return false;
  if (a->result != CFI_SCAN_MORE && a->result != CFI_SCAN_END)
    return true;
  return a->scan.depth == b->scan.depth && a->scan.inner == b->scan.inner &&
         a->scan.in_string == b->scan.in_string &&
         a->scan.escaped == b->scan.escaped;
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *state >> 33;
}

/* seed 0: all at once. Each piece ends its block, so that reading on is seen;
   what was looked at is overwritten. */
static found in_pieces(const cfi_scan_path *path, const char *text, size_t len,
                       size_t max_depth, bool one_line, uint64_t seed) {
  found f;
  char *held = NULL;

  memset(&f, 0, sizeof f);
  for (size_t given = 0; given < len && f.result == CFI_SCAN_MORE;) {
    size_t more = len - given;

    if (seed != 0)
      more = 1 + (size_t)(next_random(&seed) % (1U << next_random(&seed) % 9));
    more = more < len - given ? more : len - given;
    held = realloc(held, given + more);
    CFT_FUZZ_CHECK(held != NULL);
    memcpy(held + given, text + given, more);
    given += more;
    f.result = path->object(&f.scan, max_depth, one_line, held, given, &f.pos);
    CFT_FUZZ_CHECK(f.pos <= given);
    CFT_FUZZ_CHECK(f.pos == given || f.result != CFI_SCAN_MORE);
    memset(held, '}', f.pos);
  }
  free(held);
  return f;
}

static void check_plain(const cfi_scan_path *path, const char *text,
                        size_t len) {
  cfi_scan_text got = path->plain(text, text + len);
  bool want_ascii = true;
  size_t want = 0;

  for (; want < len && text[want] != '"' && text[want] != '\\' &&
         (unsigned char)text[want] >= 0x20;
       want++)
    if ((unsigned char)text[want] >= 0x80)
      want_ascii = false;
  CFT_FUZZ_CHECK(got.end == text + want);
  CFT_FUZZ_CHECK(got.ascii == want_ascii);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const size_t depths[] = {1, 3, 8, 100000};
  const cfi_scan_path *path;
  bool one_line;
  size_t max_depth, len;
  char *text;
  found want;

  if (size < 2 || size > TEXT_MAX)
    return 0;
  one_line = data[0] % 2 != 0;
  max_depth = depths[data[0] / 2 % 4];
  len = size - 1;
  text = malloc(len);
  CFT_FUZZ_CHECK(text != NULL);
  memcpy(text, data + 1, len);
  text[0] = '{';
  want = plainly(text, len, max_depth, one_line);
  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++) {
    found whole = in_pieces(path, text, len, max_depth, one_line, 0);
    found pieces =
        in_pieces(path, text, len, max_depth, one_line, data[1] + 1U);

    if (!same(&whole, &want) || !same(&pieces, &want))
      (void)fprintf(stderr, "path %s differs\n", path->name);
    CFT_FUZZ_CHECK(same(&whole, &want));
    CFT_FUZZ_CHECK(same(&pieces, &want));
    check_plain(path, text + 1, len - 1);
  }
  free(text);
  return 0;
}
