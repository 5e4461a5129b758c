/*
 * The values of the command's own flags.
 */
#include <string.h>

#include "args_int.h"

enum { INTERVAL_MAX_S = 86400 };

/* "a|b|c": which of the words it is, as a number. */
static int read_word(const args *a, const flag *f, const char *const *words,
                     int *out) {
  for (int i = 0; words[i] != NULL; i++)
    if (strcmp(f->value, words[i]) == 0) {
      *out = i;
      return EXIT_OK;
    }
  complain("--%s: \"%s\" is not one of %s", f->own->name, f->value,
           f->own->value);
  return usage(a);
}

static int read_format(args *a, const flag *f) {
  static const char *const words[] = {"row", "id", "tsv", "doc", NULL};

  for (int i = 0; words[i] != NULL; i++)
    if (strcmp(f->value, words[i]) == 0) {
      a->format = (row_format)i;
      return EXIT_OK;
    }
  complain("--format: \"%s\" is not one of row, id, tsv, doc", f->value);
  return usage(a);
}

/* Seconds with up to three decimals, whatever the locale. */
static bool read_seconds(const char *text, int64_t *ms) {
  int64_t value = 0, scale = 1000;
  bool digits = false;

  for (; *text >= '0' && *text <= '9' && value <= INTERVAL_MAX_S; text++) {
    value = value * 10 + (*text - '0');
    digits = true;
  }
  value *= scale;
  if (*text == '.' && digits)
    for (text++; *text >= '0' && *text <= '9' && scale > 1; text++) {
      scale /= 10;
      value += (*text - '0') * scale;
    }
  *ms = value;
  return digits && *text == '\0';
}

static int read_interval(const args *a, const flag *f, bool zero,
                         int64_t *out) {
  int64_t ms;

  if (read_seconds(f->value, &ms) && (ms >= 100 || (zero && ms == 0)) &&
      ms <= INTERVAL_MAX_S * 1000) {
    *out = ms;
    return EXIT_OK;
  }
  complain("--%s: \"%s\" is not %sin 0.1..%d seconds", f->own->name, f->value,
           zero ? "0 or " : "", INTERVAL_MAX_S);
  return usage(a);
}

/* Of the follower, and those that all commands have. */
static int set_common(args *a, const flag *f) {
  switch (f->own->id) {
  case OWN_ONCE:
    (void)changefeed_options_set(a->options, "mode", "once");
    break;
  case OWN_FORMAT:
    return read_format(a, f);
  case OWN_EVENTS:
    a->events = true;
    break;
  case OWN_STATS:
    a->stats = true;
    break;
  case OWN_STATS_INTERVAL:
    a->stats = true;
    return read_interval(a, f, false, &a->stats_interval_ms);
  case OWN_PASSWORD_FILE:
    a->me.password_file = f->value;
    break;
  case OWN_VERBOSE:
    a->verbose = true;
    break;
  case OWN_QUIET:
    a->quiet = true;
    break;
  case OWN_VERSION:
    a->version = true;
    break;
  case OWN_HELP:
    a->help = true;
    break;
  default:
    break;
  }
  return EXIT_OK;
}

static bool set_switch(mirror_args *m, own_flag id) {
  bool *to = id == OWN_DIGEST        ? &m->digest
             : id == OWN_LIST        ? &m->list
             : id == OWN_FOLLOW      ? &m->follow
             : id == OWN_AUDIT       ? &m->audit
             : id == OWN_JSON        ? &m->json
             : id == OWN_DIGEST_ONLY ? &m->digest_only
                                     : NULL;

  if (to != NULL)
    *to = true;
  return to != NULL;
}

static int set_mirror(args *a, const flag *f) {
  static const char *const starts[] = {"auto", "list", "changes", NULL};
  static const char *const keeps[] = {"revs", "docs", NULL};
  mirror_args *m = &a->mirror;

  if (set_switch(m, f->own->id))
    return EXIT_OK;
  switch (f->own->id) {
  case OWN_FROM:
    return keep_text(a, &m->from, f->value);
  case OWN_TO:
    return keep_text(a, &m->to, f->value);
  case OWN_PREFIX:
    return keep_text(a, &m->prefix, f->value);
  case OWN_SNAPSHOT:
    return keep_text(a, &m->snapshot, f->value);
  case OWN_START:
    return read_word(a, f, starts, &m->start);
  case OWN_KEEP:
    return read_word(a, f, keeps, &m->keep);
  case OWN_SNAPSHOT_INTERVAL:
    return read_interval(a, f, true, &m->snapshot_ms);
  case OWN_AUDIT_INTERVAL:
    return read_interval(a, f, false, &m->audit_ms);
  case OWN_STALE:
    return read_interval(a, f, false, &m->stale_ms);
  case OWN_SETTLE:
    return read_interval(a, f, true, &m->settle_ms);
  default:
    return set_common(a, f);
  }
}

int set_own(args *a, const flag *f) {
  if (f->own->value != NULL && f->value == NULL) {
    complain("--%s needs a value: %s", f->own->name, f->own->value);
    return usage(a);
  }
  if (f->own->value == NULL && f->value != NULL) {
    complain("--%s takes no value", f->own->name);
    return usage(a);
  }
  return a->command == COMMAND_FOLLOW ? set_common(a, f) : set_mirror(a, f);
}
