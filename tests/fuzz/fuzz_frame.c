/*
 * A body cut into rows, read whole, byte by byte and in random pieces: the same
 * comes out, and what frame_reader.h checks of any reading holds.
 *
 * Input: mode, limits, seed of the pieces, then the body.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "unit/frame_reader.h"

/* The readers copy what is held for each piece. */
enum { BODY_MAX = 8192 };

typedef struct setting {
  cfi_alloc alloc;
  cfi_frame_mode mode;
  size_t max_row, max_depth;
} setting;

static uint64_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *state >> 33;
}

/* piece 0: random sizes; otherwise all of that size. */
static char *reading(const setting *s, const char *body, size_t len,
                     size_t piece, uint64_t seed) {
  cfi_frame f;
  frame_reader r;
  char *log;

  cfi_frame_init(&f, &s->alloc, s->max_row, s->max_depth);
  frame_reader_start(&r, &f, s->mode);
  r.max_held = seed % 3 == 0 ? 0 : seed % 1000;
  for (size_t at = 0; at < len;) {
    size_t size = piece;

    if (size == 0)
      size = 1 + (size_t)(next_random(&seed) % (1U << next_random(&seed) % 9));
    size = len - at < size ? len - at : size;
    frame_feed(&r, body + at, size);
    at += size;
  }
  frame_finish(&r);
  log = r.log;
  r.log = NULL;
  frame_reader_clear(&r);
  cfi_frame_free(&f);
  return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const size_t rows[] = {2, 60, 400, BODY_MAX * 2};
  static const size_t depths[] = {1, 3, 8, 1000};
  setting s;
  const char *body;
  char *whole;

  if (size < 3 || size - 3 > BODY_MAX)
    return 0;
  CFT_FUZZ_CHECK(cfi_alloc_init(&s.alloc, NULL));
  s.mode = (cfi_frame_mode)(data[0] % 3);
  s.max_row = rows[data[1] % 4];
  s.max_depth = depths[data[1] / 4 % 4];
  body = (const char *)data + 3;
  whole = reading(&s, body, size - 3, SIZE_MAX, 0);
  for (uint64_t i = 0; i < 4; i++) {
    char *pieces =
        reading(&s, body, size - 3, i == 0 ? 1 : 0, data[2] + i * 256);

    if (strcmp(whole, pieces) != 0)
      (void)fprintf(stderr, "whole:\n%s\nin pieces (%d):\n%s\n", whole, (int)i,
                    pieces);
    CFT_FUZZ_CHECK(strcmp(whole, pieces) == 0);
    free(pieces);
  }
  free(whole);
  return 0;
}
