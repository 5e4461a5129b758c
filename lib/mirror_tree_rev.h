/*
 * A revision in few bytes: "N-" and 32 lower-case hexadecimal digits as a
 * number and 16 bytes, any other text as it is. Each text has one packed form,
 * so that equal bytes mean equal texts.
 */
#ifndef CFI_MIRROR_TREE_REV_H
#define CFI_MIRROR_TREE_REV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mirror_tree.h"

/* A number of 64 bits, seven to a byte, the lowest first. */
enum { CFI_TREE_NUMBER_ROOM = 10 };
size_t cfi_tree_number_put(unsigned char *out, uint64_t number);
static inline uint64_t cfi_tree_number_get(const unsigned char **p) {
  uint64_t number = *(*p)++;

  if (number < 0x80)
    return number;
  number &= 0x7f;
  for (unsigned shift = 7;; shift += 7) {
    unsigned char byte = *(*p)++;

    number |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return number;
  }
}

/* What a text packs into: head, then tail, then '\0' if tail is there. */
typedef struct cfi_tree_packed {
  unsigned char head[CFI_TREE_NUMBER_ROOM + 16];
  size_t head_len;
  changefeed_str tail; /* borrowed; absent when head says it all */
  size_t len;          /* of the whole */
} cfi_tree_packed;

void cfi_tree_rev_pack(changefeed_str rev, cfi_tree_packed *out);
/* Writes out->len bytes. */
void cfi_tree_rev_write(const cfi_tree_packed *packed, unsigned char *out);
bool cfi_tree_rev_same(const unsigned char *p, const cfi_tree_packed *packed);
/* Bytes of the packed revision at p. */
size_t cfi_tree_rev_size(const unsigned char *p);
/* Its text, made in room or borrowed from p; with '\0' behind it. */
changefeed_str cfi_tree_rev_text(const unsigned char *p,
                                 char room[CFI_TREE_REV_ROOM]);

#endif
