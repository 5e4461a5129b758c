/*
 * The public functions of a mirror's versions, digests and revisions. None of
 * them needs the loop; they run in any thread.
 */
#include <string.h>

#include "mirror_state.h"

/* A view is what the table calls one. */
static const cfi_tree_view *of(const changefeed_view *view) {
  return (const cfi_tree_view *)(const void *)view;
}

static changefeed_str text_of(const char *text) {
  changefeed_str s = {text, text != NULL ? strlen(text) : 0};

  return s;
}

const changefeed_view *changefeed_mirror_view(changefeed_mirror *mirror) {
  return mirror != NULL
             ? (const changefeed_view *)(const void *)cfi_tree_acquire(
                   mirror->tree)
             : NULL;
}

void changefeed_view_release(const changefeed_view *view) {
  if (view != NULL)
    cfi_tree_release(cfi_tree_of(of(view)), of(view));
}

int changefeed_view_get(const changefeed_view *view, const char *id,
                        size_t id_len, changefeed_entry *entry) {
  cfi_tree_entry held;

  if (view == NULL || id == NULL || entry == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (!cfi_tree_view_find(of(view), (changefeed_str){id, id_len}, &held))
    return CHANGEFEED_END;
  cfi_entry_fill(entry, &held);
  return CHANGEFEED_OK;
}

uint64_t changefeed_view_count(const changefeed_view *view) {
  return view != NULL ? cfi_tree_view_count(of(view)) : 0;
}

/* ---- digests ---- */

static void put_word(unsigned char out[8], uint64_t word) {
  for (int i = 7; i >= 0; i--, word >>= 8)
    out[i] = (unsigned char)(word & 0xff);
}

static uint64_t get_word(const unsigned char in[8]) {
  uint64_t word = 0;

  for (int i = 0; i < 8; i++)
    word = word << 8 | in[i];
  return word;
}

static void to_public(cfi_digest d, changefeed_digest *out) {
  put_word(out->bytes, d.high);
  put_word(out->bytes + 8, d.low);
}

int changefeed_view_digest(const changefeed_view *view, const char *from,
                           const char *to, changefeed_digest *digest,
                           uint64_t *count) {
  cfi_tree_range range = {text_of(from), text_of(to)};

  if (view == NULL || digest == NULL)
    return CHANGEFEED_ERR_INVALID;
  to_public(cfi_tree_view_digest(of(view), range, count), digest);
  return CHANGEFEED_OK;
}

const char *changefeed_digest_text(const changefeed_digest *digest,
                                   char out[CHANGEFEED_DIGEST_TEXT]) {
  static const char hex[] = "0123456789abcdef";

  for (size_t i = 0; i < sizeof digest->bytes; i++) {
    out[2 * i] = hex[digest->bytes[i] >> 4];
    out[2 * i + 1] = hex[digest->bytes[i] & 15];
  }
  out[CHANGEFEED_DIGEST_TEXT - 1] = '\0';
  return out;
}

int changefeed_digest_add(changefeed_digest *digest, const char *id,
                          size_t id_len, const char *rev, size_t rev_len) {
  cfi_digest sum;

  if (digest == NULL || id == NULL || rev == NULL)
    return CHANGEFEED_ERR_INVALID;
  sum.high = get_word(digest->bytes);
  sum.low = get_word(digest->bytes + 8);
  to_public(cfi_digest_add(sum, cfi_digest_of((changefeed_str){id, id_len},
                                              (changefeed_str){rev, rev_len})),
            digest);
  return CHANGEFEED_OK;
}

int changefeed_rev_compare(const char *a, size_t a_len, const char *b,
                           size_t b_len) {
  return cfi_rev_compare((changefeed_str){a, a_len},
                         (changefeed_str){b, b_len});
}

/* ---- walking ---- */

int changefeed_view_each(const changefeed_view *view, const char *from,
                         const char *to,
                         int (*each)(void *ctx, const changefeed_entry *entry),
                         void *ctx) {
  cfi_tree_range range = {text_of(from), text_of(to)};
  changefeed_entry entry;
  cfi_tree_entry held;
  cfi_tree_walk walk;
  int rc = 0;

  if (view == NULL || each == NULL)
    return CHANGEFEED_ERR_INVALID;
  cfi_tree_view_walk(of(view), range, &walk);
  while (rc == 0 && cfi_tree_next(&walk, &held)) {
    cfi_entry_fill(&entry, &held);
    rc = each(ctx, &entry);
  }
  return rc;
}

typedef struct comparison {
  int (*differs)(void *ctx, const changefeed_entry *a,
                 const changefeed_entry *b);
  void *ctx;
  int rc;
} comparison;

static bool on_difference(void *ctx, const cfi_tree_entry *a,
                          const cfi_tree_entry *b) {
  comparison *c = ctx;
  changefeed_entry first, second;

  if (a != NULL)
    cfi_entry_fill(&first, a);
  if (b != NULL)
    cfi_entry_fill(&second, b);
  c->rc =
      c->differs(c->ctx, a != NULL ? &first : NULL, b != NULL ? &second : NULL);
  return c->rc == 0;
}

int changefeed_view_compare(const changefeed_view *a, const changefeed_view *b,
                            int (*differs)(void *ctx, const changefeed_entry *a,
                                           const changefeed_entry *b),
                            void *ctx) {
  comparison c = {differs, ctx, 0};

  if (a == NULL || b == NULL || differs == NULL)
    return CHANGEFEED_ERR_INVALID;
  cfi_tree_compare(of(a), of(b), on_difference, &c);
  return c.rc;
}
