/*
 * The digest of one entry: SipHash-2-4-128 with a key that is public, of the
 * id's length, the id and the revision's text; and the order of revisions.
 */
#include "mirror_digest.h"

#include <string.h>

static const unsigned char digest_key[16] = {'c', 'h', 'a', 'n', 'g', 'e',
                                             'f', 'e', 'e', 'd', 'm', 'i',
                                             'r', 'r', 'o', 'r'};

/* A message is gathered here; ids and revisions seldom fill one. */
typedef struct gather {
  cfi_hash_state state;
  size_t fill;
  unsigned char room[256];
} gather;

static void gather_text(gather *g, changefeed_str text) {
  while (text.len != 0) {
    size_t part = sizeof g->room - g->fill;

    if (part > text.len)
      part = text.len;
    memcpy(g->room + g->fill, text.data, part);
    g->fill += part;
    text.data += part;
    text.len -= part;
    if (g->fill == sizeof g->room) {
      cfi_hash_add(&g->state, g->room, sizeof g->room);
      g->fill = 0;
    }
  }
}

cfi_digest cfi_digest_of(changefeed_str id, changefeed_str rev) {
  gather g;
  cfi_hash hash;

  cfi_hash_start(&g.state, digest_key);
  for (unsigned i = 0; i < 8; i++)
    g.room[i] = (unsigned char)((uint64_t)id.len >> (8 * i));
  g.fill = 8;
  gather_text(&g, id);
  gather_text(&g, rev);
  hash = cfi_hash_end(&g.state, g.room, g.fill);
  return (cfi_digest){hash.low, hash.high};
}

void cfi_digest_text(cfi_digest d, char out[CFI_HASH_TEXT]) {
  static const char digits[] = "0123456789abcdef";

  for (unsigned i = 0; i < 16; i++) {
    out[i] = digits[d.high >> (60 - 4 * i) & 15];
    out[16 + i] = digits[d.low >> (60 - 4 * i) & 15];
  }
  out[CFI_HASH_TEXT - 1] = '\0';
}

/* ---- the order of revisions ---- */

typedef struct rev_parts {
  changefeed_str generation; /* no zeros in front */
  changefeed_str rest;       /* behind the hyphen */
} rev_parts;

static bool rev_split(changefeed_str rev, rev_parts *out) {
  size_t digits = 0, zeros = 0;

  while (digits < rev.len && rev.data[digits] >= '0' && rev.data[digits] <= '9')
    digits++;
  if (digits == 0 || digits + 1 >= rev.len || rev.data[digits] != '-')
    return false;
  while (zeros < digits && rev.data[zeros] == '0')
    zeros++;
  out->generation = (changefeed_str){rev.data + zeros, digits - zeros};
  out->rest = (changefeed_str){rev.data + digits + 1, rev.len - digits - 1};
  return true;
}

static int compare_bytes(changefeed_str a, changefeed_str b) {
  size_t common = a.len < b.len ? a.len : b.len;
  int order = common != 0 ? memcmp(a.data, b.data, common) : 0;

  return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int cfi_rev_compare(changefeed_str a, changefeed_str b) {
  rev_parts x, y;
  bool good = rev_split(a, &x);
  int order;

  if (good != rev_split(b, &y))
    return good ? 1 : -1;
  if (!good)
    return compare_bytes(a, b);
  if (x.generation.len != y.generation.len)
    return x.generation.len > y.generation.len ? 1 : -1;
  order = compare_bytes(x.generation, y.generation);
  if (order == 0)
    order = compare_bytes(x.rest, y.rest);
  /* "01-a" and "1-a" are not the same text, so one has to be the lower. */
  return order != 0 ? order : compare_bytes(a, b);
}
