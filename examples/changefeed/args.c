/*
 * Reading the arguments.
 */
#include "args.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"

enum { INTERVAL_MAX_S = 86400 };

void complain(const char *format, ...) {
  va_list list;

  (void)fputs("changefeed: ", stderr);
  va_start(list, format);
  (void)vfprintf(stderr, format, list);
  va_end(list);
  (void)fputc('\n', stderr);
}

static int usage(void) {
  (void)fputs("Try \"changefeed --help\".\n", stderr);
  return EXIT_USAGE;
}

static int refuse_option(const args *a) {
  complain("%s", changefeed_options_error(a->options));
  return usage();
}

static int unknown_flag(const flag *f) {
  const char *dashes = f->name[0] == '-' ? "" : "--";
  const char *near = flag_nearest(f->name);

  if (near != NULL)
    complain("there is no flag %s%s; did you mean --%s?", dashes, f->name,
             near);
  else
    complain("there is no flag %s%s", dashes, f->name);
  return usage();
}

/* ---- the command's own flags ---- */

static int read_format(args *a, const char *word) {
  static const char *const words[] = {"row", "id", "tsv", "doc"};

  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(word, words[i]) == 0) {
      a->format = (row_format)i;
      return EXIT_OK;
    }
  complain("--format: \"%s\" is not one of row, id, tsv, doc", word);
  return usage();
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

static int read_interval(args *a, const char *text) {
  int64_t ms;

  if (read_seconds(text, &ms) && ms >= 100 && ms <= INTERVAL_MAX_S * 1000) {
    a->stats_interval_ms = ms;
    a->stats = true;
    return EXIT_OK;
  }
  complain("--stats-interval: \"%s\" is not in 0.1..%d seconds", text,
           INTERVAL_MAX_S);
  return usage();
}

static int set_own(args *a, const flag *f) {
  if (f->own->value != NULL && f->value == NULL) {
    complain("--%s needs a value: %s", f->own->name, f->own->value);
    return usage();
  }
  if (f->own->value == NULL && f->value != NULL) {
    complain("--%s takes no value", f->own->name);
    return usage();
  }
  switch (f->own->id) {
  case OWN_ONCE:
    (void)changefeed_options_set(a->options, "mode", "once");
    break;
  case OWN_FORMAT:
    return read_format(a, f->value);
  case OWN_EVENTS:
    a->events = true;
    break;
  case OWN_STATS:
    a->stats = true;
    break;
  case OWN_STATS_INTERVAL:
    return read_interval(a, f->value);
  case OWN_PASSWORD_FILE:
    a->password_file = f->value;
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

/* ---- the library's options ---- */

static void remember_store(args *a, const char *value) {
  a->couch = strcmp(value, "couch") == 0;
  a->keeps = strcmp(value, "none") != 0;
}

/* What the command must know of an option it hands on. */
static void remember(args *a, const char *name, const char *value) {
  if (strcmp(name, "url") == 0)
    a->url = value;
  else if (strcmp(name, "username") == 0)
    a->username = value[0] != '\0';
  else if (strcmp(name, "password") == 0)
    a->password = true;
  else if (strcmp(name, "bearer_token") == 0)
    a->bearer_token = value[0] != '\0';
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
}

static int set_option(args *a, const flag *f) {
  const char *name = f->option->name, *value = f->value;
  int rc;

  if (f->negated && value != NULL) {
    complain("--%s takes no value", f->name);
    return usage();
  }
  if (value == NULL && f->option->kind != CHANGEFEED_OPTION_SWITCH) {
    complain("--%s needs a value", f->name);
    return usage();
  }
  if (value == NULL)
    value = f->negated ? "0" : "1";
  rc = f->option->kind == CHANGEFEED_OPTION_LIST
           ? changefeed_options_add(a->options, name, value)
           : changefeed_options_set(a->options, name, value);
  if (rc != CHANGEFEED_OK)
    return refuse_option(a);
  remember(a, name, value);
  return EXIT_OK;
}

static int set_url(args *a, const char *url) {
  if (a->url != NULL) {
    complain("there is more than one URL");
    return usage();
  }
  if (changefeed_options_set(a->options, "url", url) != CHANGEFEED_OK)
    return refuse_option(a);
  a->url = url;
  return EXIT_OK;
}

static int read_all(args *a, const secrets *s) {
  bool flags = true;
  int rc = EXIT_OK;
  flag f;

  for (int i = 1; i < s->argc && rc == EXIT_OK && !a->help && !a->version;
       i += f.used) {
    flag_read(s->argv, i, &f);
    if (flags && f.ends_flags) {
      flags = false;
    } else if (!flags || !f.is_flag) {
      f.used = 1;
      rc = set_url(a, s->argv[i]);
    } else if (f.own != NULL) {
      rc = set_own(a, &f);
    } else if (f.option != NULL) {
      rc = set_option(a, &f);
    } else {
      rc = unknown_flag(&f);
    }
  }
  return rc;
}

/* ---- the password ---- */

/* Does the URL name a user without a password? */
static bool asks_for_password(const char *url) {
  size_t start, len;

  return url != NULL && find_user_info(url, &start, &len) &&
         memchr(url + start, ':', len) == NULL;
}

static int set_password(args *a, const char *password) {
  return changefeed_options_set(a->options, "password", password) ==
                 CHANGEFEED_OK
             ? EXIT_OK
             : refuse_option(a);
}

/* --password, then --password-file, then the environment; the last only where
   a user is named whose password is not. */
static int find_password(args *a, const secrets *s) {
  const char *why = NULL;
  char *password;
  int rc;

  if (a->password_file != NULL && a->password) {
    complain("--password and --password-file exclude each other");
    return usage();
  }
  if (a->password_file != NULL) {
    password = secret_read_file(a->password_file, &why);
    if (password == NULL) {
      complain("--password-file: %s: %s", a->password_file, why);
      return EXIT_USAGE;
    }
    rc = set_password(a, password);
    secret_free(password);
    return rc;
  }
  if (s->password == NULL || s->password[0] == '\0' || a->password ||
      a->bearer_token || !(a->username || asks_for_password(a->url)))
    return EXIT_OK;
  return set_password(a, s->password);
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

static int complete(args *a, const secrets *s) {
  int rc;

  if (a->verbose && a->quiet) {
    complain("--verbose and --quiet exclude each other");
    return usage();
  }
  if (a->url == NULL) {
    complain("there is no URL, such as http://127.0.0.1:5984/db");
    return usage();
  }
  rc = find_password(a, s);
  if (rc != EXIT_OK)
    return rc;
  if (!set_defaults(a))
    return refuse_option(a);
  return EXIT_OK;
}

int args_read(args *a, const secrets *s) {
  int rc;

  memset(a, 0, sizeof *a);
  if (changefeed_options_new(&a->options) != CHANGEFEED_OK) {
    complain("there is no memory");
    return EXIT_FAILED;
  }
  rc = read_all(a, s);
  if (rc == EXIT_OK && !a->help && !a->version)
    rc = complete(a, s);
  return rc;
}

void args_free(args *a) {
  changefeed_options_free(a->options);
  a->options = NULL;
}
