/*
 * Finding flags by name. A switch may stand alone; it takes the next argument
 * only when that is a word for on or off, which no URL is.
 */
#include "flags.h"

#include <string.h>

enum {
  FOLLOW = COMMAND_FOLLOW,
  MIRROR = COMMAND_MIRROR,
  DIFF = COMMAND_DIFF,
  BOTH = MIRROR | DIFF,
  ALL = FOLLOW | BOTH
};

const flag_info own_flags[] = {
    {OWN_DIGEST, MIRROR, "digest", NULL,
     "print the digest of all documents, how many there are, and the URL; what "
     "is done when no other flag says what to print"},
    {OWN_LIST, MIRROR, "list", NULL,
     "print the id and the revision of each document, a tab between, and the "
     "document behind another with --keep=docs"},
    {OWN_AUDIT, MIRROR, "audit", NULL,
     "compare with the server's list, and print what differs"},
    {OWN_FOLLOW, MIRROR, "follow", NULL,
     "go on, and print what comes (+) and what goes (-), as against the "
     "snapshot; with --list as against nothing"},
    {OWN_AUDIT_INTERVAL, MIRROR, "audit-interval", "SECONDS",
     "with --follow: audit every so many seconds"},
    {OWN_STALE, MIRROR, "stale", "SECONDS",
     "tell when for so long nothing has proven that the mirror is in step"},
    {OWN_SNAPSHOT, MIRROR, "snapshot", "FILE",
     "start from this file, and save to it at the end"},
    {OWN_SNAPSHOT_INTERVAL, MIRROR, "snapshot-interval", "SECONDS",
     "with --follow: save at most every so many seconds, 0: only at the end; "
     "default: 60"},
    {OWN_KEEP, MIRROR, "keep", "revs|docs",
     "what is held: ids and revisions, or the documents, too; default: revs"},
    {OWN_DIGEST_ONLY, DIFF, "digest-only", NULL,
     "print the digests of both sides and whether they agree, no documents"},
    {OWN_SETTLE, DIFF, "settle", "SECONDS",
     "how long what differs between two databases is looked at until it "
     "counts; default: 5"},
    {OWN_A_OPTION, DIFF, "a-option", "NAME=VALUE",
     "an option of the library for the first side alone; repeatable"},
    {OWN_B_OPTION, DIFF, "b-option", "NAME=VALUE",
     "an option of the library for the second side alone; repeatable"},
    {OWN_A_PASSWORD_FILE, DIFF, "a-password-file", "FILE",
     "as password-file, for the first side alone"},
    {OWN_B_PASSWORD_FILE, DIFF, "b-password-file", "FILE",
     "as password-file, for the second side alone"},
    {OWN_FROM, BOTH, "from", "ID", "only documents with this id or behind it"},
    {OWN_TO, BOTH, "to", "ID", "only documents with ids before this one"},
    {OWN_PREFIX, BOTH, "prefix", "TEXT",
     "only documents with ids that begin so; excludes from and to"},
    {OWN_START, BOTH, "start", "auto|list|changes",
     "read the list of documents first, or all changes; default: auto, changes "
     "with a filter, else the list"},
    {OWN_JSON, BOTH, "json", NULL, "print lines of JSON"},
    {OWN_ONCE, FOLLOW, "once", NULL,
     "end when caught up; the same as --mode=once"},
    {OWN_FORMAT, FOLLOW, "format", "row|id|tsv|doc",
     "what is printed of a change: its row as JSON, its id, a line of seq, id, "
     "first revision and deleted (0 or 1) with tabs between, or its document "
     "(which implies include_docs); default: row"},
    {OWN_EVENTS, ALL, "events", NULL,
     "tell what happens as lines of JSON on standard error"},
    {OWN_STATS, ALL, "stats", NULL,
     "print the counters as a line of JSON on standard error at the end"},
    {OWN_STATS_INTERVAL, FOLLOW, "stats-interval", "SECONDS",
     "the same every so many seconds, and at the end"},
    {OWN_PASSWORD_FILE, ALL, "password-file", "FILE",
     "read the password from the first line of this file"},
    {OWN_VERBOSE, ALL, "verbose", NULL,
     "print the library's log on standard error"},
    {OWN_QUIET, ALL, "quiet", NULL,
     "print nothing but errors on standard error"},
    {OWN_VERSION, ALL, "version", NULL, "print the versions and exit"},
    {OWN_HELP, ALL, "help", NULL, "print this text and exit"},
    {OWN_NONE, 0, NULL, NULL, NULL},
};

/* ---- commands ---- */

command command_of(char *const *argv) {
  const char *first = argv[0] != NULL ? argv[1] : NULL;

  if (first != NULL && strcmp(first, "mirror") == 0)
    return COMMAND_MIRROR;
  if (first != NULL && strcmp(first, "diff") == 0)
    return COMMAND_DIFF;
  return COMMAND_FOLLOW;
}

const char *command_name(command c) {
  return c == COMMAND_MIRROR ? "changefeed mirror"
         : c == COMMAND_DIFF ? "changefeed diff"
                             : "changefeed";
}

bool flag_is_of_use(command c, const changefeed_option_info *option) {
  static const char *const decided[] = {
      "url",      "mode",   "since",    "checkpoint",   "checkpoint_key",
      "source",   "style",  "limit",    "descending",   "auto_ack",
      "startkey", "endkey", "on_reset", "include_docs", "inclusive_end"};

  if (c == COMMAND_FOLLOW)
    return true;
  for (size_t i = 0; i < sizeof decided / sizeof *decided; i++)
    if (strcmp(option->name, decided[i]) == 0)
      return false;
  return true;
}

/* ---- names ---- */

/* Equal, '-' and '_' being the same. */
static bool same_name(const char *a, const char *b) {
  while (*a != '\0' && (*a == '-' ? '_' : *a) == (*b == '-' ? '_' : *b)) {
    a++;
    b++;
  }
  return *a == '\0' && *b == '\0';
}

static const flag_info *find_own(command c, const char *name) {
  for (const flag_info *own = own_flags; own->name != NULL; own++)
    if ((own->commands & (unsigned)c) != 0 && same_name(own->name, name))
      return own;
  return NULL;
}

const changefeed_option_info *flag_option(const char *name) {
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

static void look_up(command c, flag *f) {
  f->own = find_own(c, f->name);
  if (f->own != NULL)
    return;
  f->option = flag_option(f->name);
  if (f->option != NULL ||
      (strncmp(f->name, "no-", 3) != 0 && strncmp(f->name, "no_", 3) != 0))
    return;
  f->option = flag_option(f->name + 3);
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

void flag_read(command c, char *const *argv, int at, flag *out) {
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
  look_up(c, out);
  if (out->value == NULL && takes_next(out, argv[at + 1])) {
    out->value = argv[at + 1];
    out->used = 2;
  }
}

const char *flag_split(const char *text,
                       const changefeed_option_info **option) {
  const char *equals = strchr(text, '=');
  char name[FLAG_NAME_MAX];
  size_t len = equals != NULL ? (size_t)(equals - text) : 0;

  *option = NULL;
  if (equals == NULL)
    return NULL;
  if (len < sizeof name) {
    memcpy(name, text, len);
    name[len] = '\0';
    *option = flag_option(name);
  }
  return equals + 1;
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

const char *flag_nearest(command c, const char *name) {
  nearest n = {NULL, (unsigned)strlen(name) / 3 + 2};
  const changefeed_option_info *info = NULL;

  if (name[0] == '\0')
    return NULL;
  for (const flag_info *own = own_flags; own->name != NULL; own++)
    if ((own->commands & (unsigned)c) != 0)
      consider(&n, own->name, name);
  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    if (flag_is_of_use(c, info))
      consider(&n, info->name, name);
  return n.name;
}
