/*
 * Finding flags by name. A switch may stand alone; it takes the next argument
 * only when that is a word for on or off, which no URL is.
 */
#include "flags.h"

#include <string.h>

const flag_info own_flags[] = {
    {OWN_ONCE, "once", NULL, "end when caught up; the same as --mode=once"},
    {OWN_FORMAT, "format", "row|id|tsv|doc",
     "what is printed of a change: its row as JSON, its id, a line of seq, id, "
     "first revision and deleted (0 or 1) with tabs between, or its document "
     "(which implies include_docs); default: row"},
    {OWN_EVENTS, "events", NULL,
     "tell what happens as lines of JSON on standard error"},
    {OWN_STATS, "stats", NULL,
     "print the counters as a line of JSON on standard error at the end"},
    {OWN_STATS_INTERVAL, "stats-interval", "SECONDS",
     "the same every so many seconds, and at the end"},
    {OWN_PASSWORD_FILE, "password-file", "FILE",
     "read the password from the first line of this file"},
    {OWN_VERBOSE, "verbose", NULL, "print the library's log on standard error"},
    {OWN_QUIET, "quiet", NULL, "print nothing but errors on standard error"},
    {OWN_VERSION, "version", NULL, "print the versions and exit"},
    {OWN_HELP, "help", NULL, "print this text and exit"},
    {OWN_NONE, NULL, NULL, NULL},
};

/* Equal, '-' and '_' being the same. */
static bool same_name(const char *a, const char *b) {
  while (*a != '\0' && (*a == '-' ? '_' : *a) == (*b == '-' ? '_' : *b)) {
    a++;
    b++;
  }
  return *a == '\0' && *b == '\0';
}

static const flag_info *find_own(const char *name) {
  for (const flag_info *own = own_flags; own->name != NULL; own++)
    if (same_name(own->name, name))
      return own;
  return NULL;
}

static const changefeed_option_info *find_option(const char *name) {
  const changefeed_option_info *info = NULL;

  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    if (same_name(info->name, name))
      return info;
  return NULL;
}

static bool is_switch_word(const char *text) {
  static const char *const words[] = {"0",  "1",   "false", "true",
                                      "no", "yes", "off",   "on"};

  for (size_t i = 0; text != NULL && i < sizeof words / sizeof *words; i++)
    if (strcmp(text, words[i]) == 0)
      return true;
  return false;
}

static void look_up(flag *f) {
  f->own = find_own(f->name);
  if (f->own != NULL)
    return;
  f->option = find_option(f->name);
  if (f->option != NULL ||
      (strncmp(f->name, "no-", 3) != 0 && strncmp(f->name, "no_", 3) != 0))
    return;
  f->option = find_option(f->name + 3);
  if (f->option != NULL && f->option->kind != CHANGEFEED_OPTION_SWITCH)
    f->option = NULL;
  f->negated = f->option != NULL;
}

/* Whether the next argument belongs to the flag. */
static bool takes_next(const flag *f, const char *next) {
  if (next == NULL || f->negated)
    return false;
  if (f->own != NULL)
    return f->own->value != NULL;
  if (f->option == NULL)
    return false;
  return f->option->kind != CHANGEFEED_OPTION_SWITCH || is_switch_word(next);
}

void flag_read(char *const *argv, int at, flag *out) {
  const char *arg = argv[at];
  const char *equals;
  size_t len;

  memset(out, 0, sizeof *out);
  out->used = 1;
  out->ends_flags = strcmp(arg, "--") == 0;
  if (out->ends_flags || arg[0] != '-' || arg[1] == '\0')
    return;
  out->is_flag = true;
  arg += arg[1] == '-' ? 2 : 0; /* "-x" stays as it is: there is no such flag */
  equals = strchr(arg, '=');
  len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
  out->value = equals != NULL ? equals + 1 : NULL;
  if (len >= sizeof out->name)
    len = sizeof out->name - 1;
  memcpy(out->name, arg, len);
  if (strcmp(out->name, "-h") == 0)
    memcpy(out->name, "help", sizeof "help");
  look_up(out);
  if (out->value == NULL && takes_next(out, argv[at + 1])) {
    out->value = argv[at + 1];
    out->used = 2;
  }
}

/* ---- the nearest name ---- */

static char plain(char c) { return c == '_' ? '-' : c; }

static unsigned smaller(unsigned a, unsigned b) { return a < b ? a : b; }

static unsigned edits(const char *known, const char *name) {
  unsigned row[FLAG_NAME_MAX + 1];
  size_t len = strlen(name);

  for (size_t i = 0; i <= len; i++)
    row[i] = (unsigned)i;
  for (; *known != '\0'; known++) {
    unsigned diagonal = row[0]++;

    for (size_t i = 1; i <= len; i++) {
      unsigned other = plain(*known) == plain(name[i - 1]) ? 0 : 1;
      unsigned best =
          smaller(diagonal + other, smaller(row[i], row[i - 1]) + 1);
      diagonal = row[i];
      row[i] = best;
    }
  }
  return row[len];
}

/* "heartbeat" of heartbeat_ms: the last words are left out. */
static bool is_beginning(const char *name, const char *known) {
  while (*name != '\0' && plain(*name) == plain(*known)) {
    name++;
    known++;
  }
  return *name == '\0' && plain(*known) == '-';
}

typedef struct nearest {
  const char *name;
  unsigned distance;
} nearest;

static void consider(nearest *n, const char *known, const char *name) {
  unsigned distance = is_beginning(name, known) ? 1 : edits(known, name);

  if (distance < n->distance) {
    n->name = known;
    n->distance = distance;
  }
}

const char *flag_nearest(const char *name) {
  nearest n = {NULL, (unsigned)strlen(name) / 3 + 2};
  const changefeed_option_info *info = NULL;

  if (name[0] == '\0')
    return NULL;
  for (const flag_info *own = own_flags; own->name != NULL; own++)
    consider(&n, own->name, name);
  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    consider(&n, info->name, name);
  return n.name;
}
