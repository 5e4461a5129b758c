/*
 * Positions as text: "N-" and an opaque string that only this server reads.
 */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

enum { RAW_MAX = 16 + COUCH_Q_MAX * 7 + 64, PADDED = 90 };

static void put(unsigned char **p, uint64_t n, unsigned bytes) {
  while (bytes-- > 0)
    *(*p)++ = (unsigned char)(n >> (8 * bytes));
}

static uint64_t get(const unsigned char **p, unsigned bytes) {
  uint64_t n = 0;
  while (bytes-- > 0)
    n = n << 8 | *(*p)++;
  return n;
}

void couch_place_text(const couch_place *place, couch_buf *out) {
  unsigned char raw[RAW_MAX] = {0}, *p = raw;
  uint64_t sum = 0;
  size_t len;
  put(&p, 0x8350, 2);
  put(&p, place->q, 1);
  put(&p, place->tag, 8);
  for (unsigned r = 0; r < place->q; r++) {
    put(&p, place->node[r], 1);
    put(&p, place->seq[r], 6);
    sum += place->seq[r];
  }
  /* As long as CouchDB's, which name their nodes and ranges. */
  len = (size_t)(p - raw);
  for (; len < PADDED; len++)
    raw[len] = (unsigned char)(0x53 * len);
  p = raw + len;
  put(&p, couch_crc32(raw, len), 4);
  couch_addf(out, "%llu-g1AAAA", (unsigned long long)sum);
  couch_add_base64url(out, raw, len + 4);
}

bool couch_place_parse(const char *text, couch_place *out) {
  couch_buf raw = {0};
  const char *opaque;
  size_t len = strlen(text);
  bool good = false;
  *out = (couch_place){0};
  if (strcmp(text, "0") == 0)
    return true;
  if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
    text++;
    len -= 2;
  }
  opaque = text;
  while (*opaque >= '0' && *opaque <= '9')
    opaque++;
  opaque = *opaque == '-' ? opaque + 1 : text;
  len -= (size_t)(opaque - text);
  if (len > 6 && strncmp(opaque, "g1AAAA", 6) == 0 &&
      couch_base64_decode(opaque + 6, len - 6, &raw) && raw.len > PADDED &&
      raw.len <= RAW_MAX) {
    const unsigned char *p = (const unsigned char *)raw.data;
    const unsigned char *crc = p + raw.len - 4;
    good = get(&crc, 4) == couch_crc32(raw.data, raw.len - 4) &&
           get(&p, 2) == 0x8350;
    out->q = (unsigned)get(&p, 1);
    good = good && out->q <= COUCH_Q_MAX && 11 + out->q * 7 + 4 <= raw.len;
    out->tag = get(&p, 8);
    for (unsigned r = 0; good && r < out->q; r++) {
      out->node[r] = (unsigned char)get(&p, 1);
      out->seq[r] = get(&p, 6);
    }
  }
  couch_buf_free(&raw);
  return good;
}

void couch_place_end(const couch_world *w, const couch_db *db, unsigned node,
                     couch_place *out) {
  *out = (couch_place){.tag = db->tag, .q = db->q};
  for (unsigned r = 0; r < db->q; r++) {
    unsigned holder = 0;
    const couch_shard *s = couch_copy_for(w, db, node, r, &holder);
    out->node[r] = (unsigned char)holder;
    out->seq[r] = s != NULL ? s->seq : 0;
  }
}

bool couch_place_resume(const couch_world *w, const couch_db *db, unsigned node,
                        const couch_place *since, couch_place *out) {
  /* Of another database, or of another life of this: all of it, in silence. */
  bool ours = since->tag == db->tag && since->q == db->q;
  *out = (couch_place){.tag = db->tag, .q = db->q};
  for (unsigned r = 0; r < db->q; r++) {
    unsigned holder = ours ? since->node[r] : node;
    if (ours && holder < w->nodes && db->shards[r][holder] != NULL &&
        couch_sees(w, node, holder)) {
      out->node[r] = since->node[r];
      out->seq[r] = since->seq[r];
      continue;
    }
    if (couch_copy_for(w, db, node, r, &holder) == NULL)
      return false;
    out->node[r] = (unsigned char)holder;
    /* What the dead copy's numbers mean here is known only roughly. */
    if (ours && !w->settings.rewind_all)
      out->seq[r] = since->seq[r] / 2;
  }
  return true;
}

size_t couch_place_pending(const couch_db *db, const couch_place *place) {
  size_t n = 0;
  for (unsigned r = 0; r < place->q && r < db->q; r++) {
    const couch_shard *s = db->shards[r][place->node[r]];
    if (s != NULL)
      n += couch_shard_pending(s, place->seq[r]);
  }
  return n;
}
