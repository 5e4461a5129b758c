/* Rows in order of seq, one current row for each id, and the texts of seqs:
   see peer_mini_int.h. No locking of its own. */
#include "mem.h"
#include "peer_mini_int.h"

/* ---- rows ---- */

static size_t hash(const char *id) {
  uint64_t h = 1469598103934665603U; /* FNV-1a */
  for (; *id; id++)
    h = (h ^ (unsigned char)*id) * 1099511628211U;
  return (size_t)(h ^ (h >> 32));
}

/* The slot of the id, or the free one where it belongs. */
static size_t *slot_of(const cft_log *log, const char *id) {
  size_t i = hash(id) & (log->slot_count - 1);
  while (log->slots[i] && strcmp(log->rows[log->slots[i] - 1].id, id) != 0)
    i = (i + 1) & (log->slot_count - 1);
  return &log->slots[i];
}

static void grow_slots(cft_log *log) {
  free(log->slots);
  log->slot_count = log->slot_count ? log->slot_count * 2 : 64;
  log->slots = cft_calloc(log->slot_count, sizeof *log->slots);
  for (size_t n = 1; n <= log->count; n++)
    if (log->rows[n - 1].current)
      *slot_of(log, log->rows[n - 1].id) = n;
}

size_t cft_log_put(cft_log *log, const char *id, const char *rev, bool deleted,
                   const char *members) {
  if (log->current * 2 >= log->slot_count)
    grow_slots(log);
  size_t *slot = slot_of(log, id);
  if (*slot) {
    cft_entry *old = &log->rows[*slot - 1];
    old->current = false;
    free(old->members);
    old->members = NULL;
    log->current--;
  }
  log->rows = cft_room(log->rows, log->count, &log->cap, sizeof *log->rows);
  log->rows[log->count++] = (cft_entry){cft_strdup(id), cft_strdup(rev),
                                        cft_strdup(members), deleted, true};
  log->current++;
  return *slot = log->count;
}

void cft_log_clear(cft_log *log) {
  for (size_t i = 0; i < log->count; i++) {
    free(log->rows[i].id);
    free(log->rows[i].rev);
    free(log->rows[i].members);
  }
  free(log->rows);
  free(log->slots);
  *log = (cft_log){.tag = log->tag};
}

/* ---- seqs ---- */

static const char PLAIN[] = "g1AAAACbeJzLYWBg";
static const char ODD[] = "g1+/=&% #'\"\\\xc3\xa9?";

/* The opaque part: filler, history, number. */
static void opaque(const cft_log *log, enum cft_seqs seqs, size_t number,
                   char *out, size_t size) {
  snprintf(out, size, "%s%08x_%zx-Zz", seqs == CFT_SEQ_ODD ? ODD : PLAIN,
           log->tag, number);
}

void cft_seq_text(const cft_log *log, enum cft_seqs seqs, size_t number,
                  cft_text *out) {
  char tail[96], whole[128];
  opaque(log, seqs, number, tail, sizeof tail);
  switch (seqs) {
  case CFT_SEQ_NUMBER:
    cft_text_addf(out, "%zu", number);
    return;
  case CFT_SEQ_ARRAY:
    cft_text_addf(out, "[%zu,\"%s\"]", number, tail);
    return;
  case CFT_SEQ_LIAR:
    snprintf(whole, sizeof whole, "%zu-%s", number % 7, tail);
    break;
  case CFT_SEQ_OPAQUE:
  case CFT_SEQ_ODD:
    snprintf(whole, sizeof whole, "%zu-%s", number, tail);
    break;
  }
  cft_text_json(out, whole);
}

static bool all_digits(const char *s) {
  return *s && s[strspn(s, "0123456789")] == '\0';
}

bool cft_seq_parse(const cft_log *log, enum cft_seqs seqs, const char *since,
                   size_t *number) {
  const char *filler = seqs == CFT_SEQ_ODD ? ODD : PLAIN;
  char again[96];
  char tag_text[9], *end;
  *number = 0;
  if (strcmp(since, "0") == 0)
    return true;
  if (strcmp(since, "now") == 0) {
    *number = log->count;
    return true;
  }
  if (seqs == CFT_SEQ_NUMBER) {
    *number = (size_t)strtoull(since, NULL, 10);
    return all_digits(since);
  }
  const char *tail = strstr(since, filler);
  if (!tail)
    return false;
  snprintf(tag_text, sizeof tag_text, "%s", tail + strlen(filler));
  unsigned tag = (unsigned)strtoul(tag_text, &end, 16);
  if (end != tag_text + 8 || tail[strlen(filler) + 8] != '_')
    return false;
  *number = (size_t)strtoull(tail + strlen(filler) + 9, NULL, 16);
  /* whatever is not byte for byte what was handed out is malformed */
  const cft_log theirs = {.tag = tag};
  opaque(&theirs, seqs, *number, again, sizeof again);
  size_t n = strlen(again);
  if (strncmp(tail, again, n) != 0 ||
      strcmp(tail + n, seqs == CFT_SEQ_ARRAY ? "\"]" : "") != 0)
    return false;
  if (tag != log->tag)
    *number = 0;
  return tag != log->tag || *number <= log->count;
}
