/*
 * What the tests of the feed share: a feed in a world without sockets, brought
 * to its live request, and its acknowledged position.
 */
#ifndef CFT_UNIT_FEED_IN_WORLD_H
#define CFT_UNIT_FEED_IN_WORLD_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/fake_world.h"

#define ROW(seq, id, rev)                                                      \
  "{\"seq\":\"" seq "\",\"id\":\"" id "\",\"changes\":[{\"rev\":\"" rev "\"}]" \
  "}"
#define LIST(rows, tail) "{\"results\":[\n" rows "\n],\n" tail "}\n"

static cft_world w;

static const char *const none[] = {NULL};

static inline void open_live(const char *const *options) {
  cft_world_open(&w, options);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
}

static inline const char *position(void) {
  static char text[64];
  char *copy = NULL;
  size_t len;

  if (!cfi_window_position(&w.feed->window, &copy, &len))
    return "(none)";
  (void)snprintf(text, sizeof text, "%s", copy);
  cfi_free(&w.alloc, copy);
  return text;
}

#endif
