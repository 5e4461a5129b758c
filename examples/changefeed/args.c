/*
 * Reading the arguments.
 */
#include "args_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_MS = 60000, SETTLE_MS = 5000 };

void complain(const char *format, ...) {
  va_list list;

  (void)fputs("changefeed: ", stderr);
  va_start(list, format);
  (void)vfprintf(stderr, format, list);
  va_end(list);
  (void)fputc('\n', stderr);
}

int usage(const args *a) {
  (void)fprintf(stderr, "Try \"%s --help\".\n", command_name(a->command));
  return EXIT_USAGE;
}

int refuse_option(const args *a, const changefeed_options *options) {
  complain("%s", changefeed_options_error(options));
  return usage(a);
}

int no_memory(const args *a) {
  complain("there is no memory");
  return a->command == COMMAND_FOLLOW ? EXIT_FAILED : EXIT_TROUBLE;
}

int keep_text(const args *a, char **to, const char *text) {
  free(*to);
  *to = strdup(text);
  return *to != NULL ? EXIT_OK : no_memory(a);
}

static int unknown_flag(const args *a, const flag *f) {
  const char *dashes = f->name[0] == '-' ? "" : "--";
  const char *near = flag_nearest(a->command, f->name);

  if (near != NULL)
    complain("there is no flag %s%s; did you mean --%s?", dashes, f->name,
             near);
  else
    complain("there is no flag %s%s", dashes, f->name);
  return usage(a);
}

/* ---- the library's options ---- */

static void remember_store(args *a, const char *value) {
  a->couch = strcmp(value, "couch") == 0;
  a->keeps = strcmp(value, "none") != 0;
}

/* What the command must know of an option it hands on. */
static void remember(args *a, const char *name, const char *value) {
  if (strcmp(name, "url") == 0)
    a->url = value;
  else if (strcmp(name, "on_reset") == 0)
    a->reset_stops = strcmp(value, "stop") == 0;
  else if (strcmp(name, "seq_interval") == 0)
    a->seq_interval = true;
  else if (strcmp(name, "checkpoint") == 0)
    remember_store(a, value);
  else if (strcmp(name, "flush_on_stop") == 0)
    a->flush_on_stop = true;
  else if (strcmp(name, "limit") == 0)
    a->limit = strtoll(value, NULL, 10); /* the setter has checked it */
  else if (strcmp(name, "retry_limit") == 0)
    a->mirror.retry_limit = true;
  else
    remember_identity(&a->me, name, value);
}

static int set_option(args *a, const flag *f) {
  const char *name = f->option->name, *value = f->value;
  int rc;

  if (!flag_is_of_use(a->command, f->option)) {
    complain("--%s: a mirror decides that itself", f->option->name);
    return usage(a);
  }
  if (f->negated && value != NULL) {
    complain("--%s takes no value", f->name);
    return usage(a);
  }
  if (value == NULL && f->option->kind != CHANGEFEED_OPTION_SWITCH) {
    complain("--%s needs a value", f->name);
    return usage(a);
  }
  if (value == NULL)
    value = f->negated ? "0" : "1";
  rc = f->option->kind == CHANGEFEED_OPTION_LIST
           ? changefeed_options_add(a->options, name, value)
           : changefeed_options_set(a->options, name, value);
  if (rc != CHANGEFEED_OK)
    return refuse_option(a, a->options);
  remember(a, name, value);
  return EXIT_OK;
}

static int set_url(args *a, const char *url) {
  if (a->url != NULL) {
    complain("there is more than one URL");
    return usage(a);
  }
  if (changefeed_options_set(a->options, "url", url) != CHANGEFEED_OK)
    return refuse_option(a, a->options);
  a->url = url;
  return EXIT_OK;
}

/* Of diff the first two are kept, and all are counted. */
static int take_operand(args *a, const char *text) {
  mirror_args *m = &a->mirror;

  if (a->command != COMMAND_DIFF)
    return set_url(a, text);
  if (m->operands++ < 2)
    return keep_text(a, &m->sides[m->operands - 1].name, text);
  return EXIT_OK;
}

static int read_all(args *a, const secrets *s) {
  bool flags = true;
  int rc = EXIT_OK;
  flag f;

  for (int i = a->command == COMMAND_FOLLOW ? 1 : 2;
       i < s->argc && rc == EXIT_OK && !a->help && !a->version; i += f.used) {
    flag_read(a->command, s->argv, i, &f);
    if (flags && f.ends_flags) {
      flags = false;
    } else if (!flags || !f.is_flag) {
      f.used = 1;
      rc = take_operand(a, s->argv[i]);
    } else if (f.own != NULL) {
      rc = set_own(a, &f);
    } else if (f.option != NULL) {
      rc = set_option(a, &f);
    } else {
      rc = unknown_flag(a, &f);
    }
  }
  return rc;
}

/* ---- all ---- */

static bool set_int(args *a, const char *name, int64_t value) {
  return changefeed_options_set_int(a->options, name, value) == CHANGEFEED_OK;
}

/* What is other than the library's default here, unless it was given. */
static bool set_defaults(args *a) {
  /* A row is acknowledged when it has been written: by the command. */
  if (!set_int(a, "auto_ack", 0))
    return false;
  if (a->format == FORMAT_DOC && !set_int(a, "include_docs", 1))
    return false;
  /* Who asks for lines with the seq in them wants one in each. And lines that
     were written need not come again after a signal. */
  if (!a->seq_interval && (a->format == FORMAT_TSV || a->keeps) &&
      !set_int(a, "seq_interval", 1))
    return false;
  return a->flush_on_stop || set_int(a, "flush_on_stop", 1);
}

static int exclude(const args *a, bool both, const char *one,
                   const char *other) {
  if (!both)
    return EXIT_OK;
  complain("--%s and --%s exclude each other", one, other);
  return usage(a);
}

static int need_follow(const args *a, bool given, const char *name) {
  if (!given || a->mirror.follow)
    return EXIT_OK;
  complain("--%s is of use with --follow only", name);
  return usage(a);
}

static int check_mirror(const args *a) {
  const mirror_args *m = &a->mirror;
  int rc = exclude(a, m->prefix != NULL && m->from != NULL, "prefix", "from");

  if (rc == EXIT_OK)
    rc = exclude(a, m->prefix != NULL && m->to != NULL, "prefix", "to");
  if (rc == EXIT_OK)
    rc = exclude(a, m->digest && m->follow, "digest", "follow");
  if (rc == EXIT_OK)
    rc = exclude(a, m->list && m->digest, "list", "digest");
  if (rc == EXIT_OK)
    rc = exclude(a, m->list && m->audit, "list", "audit");
  if (rc == EXIT_OK)
    rc = need_follow(a, m->audit_ms != 0, "audit-interval");
  if (rc == EXIT_OK)
    rc = need_follow(a, m->snapshot_ms != SNAPSHOT_MS, "snapshot-interval");
  return rc;
}

/* A command that is to end does not try for ever; auto_ack and the like are
   the mirror's. */
static int complete_mirror(args *a, const secrets *s) {
  int rc = check_mirror(a);

  if (rc != EXIT_OK)
    return rc;
  if (!a->mirror.follow && !a->mirror.retry_limit &&
      !set_int(a, "retry_limit", 5))
    return refuse_option(a, a->options);
  return a->command == COMMAND_DIFF
             ? complete_sides(a, s)
             : find_password(a, a->options, &a->me, a->url, "", s);
}

static int complete(args *a, const secrets *s) {
  int rc = exclude(a, a->verbose && a->quiet, "verbose", "quiet");

  if (rc != EXIT_OK)
    return rc;
  if (a->url == NULL && a->command != COMMAND_DIFF) {
    complain("there is no URL, such as http://127.0.0.1:5984/db");
    return usage(a);
  }
  if (a->command != COMMAND_FOLLOW)
    return complete_mirror(a, s);
  rc = find_password(a, a->options, &a->me, a->url, "", s);
  if (rc != EXIT_OK)
    return rc;
  if (!set_defaults(a))
    return refuse_option(a, a->options);
  return EXIT_OK;
}

int args_read(args *a, const secrets *s) {
  int rc;

  memset(a, 0, sizeof *a);
  a->command = command_of(s->argv);
  a->mirror.snapshot_ms = SNAPSHOT_MS;
  a->mirror.settle_ms = SETTLE_MS;
  if (changefeed_options_new(&a->options) != CHANGEFEED_OK)
    return no_memory(a);
  rc = read_all(a, s);
  if (rc == EXIT_OK && !a->help && !a->version)
    rc = complete(a, s);
  return rc;
}

void args_free(args *a) {
  mirror_args *m = &a->mirror;

  changefeed_options_free(a->options);
  a->options = NULL;
  for (int i = 0; i < 2; i++) {
    changefeed_options_free(m->sides[i].options);
    secret_free(m->sides[i].name);
  }
  free(m->from);
  free(m->to);
  free(m->prefix);
  free(m->snapshot);
  memset(m, 0, sizeof *m);
}
