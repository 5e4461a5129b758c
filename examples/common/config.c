/* What a program is told, from four places; see config.h. This file keeps the
   values; config_value.c knows what a value may be, config_help.c how options
   are shown, config_secret.c reads the files of secrets. */
#include "common/config_value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  FILE_MOST = 1024 * 1024,
  NAME_SIZE = 128,
  PLACE_SIZE = 320,
  OWN_COUNT = 3 /* of config_own_options */
};

/* Who said it; a later one replaces all that an earlier one said. */
enum { BY_NOBODY, BY_DEFAULT, BY_FILE, BY_ENVIRONMENT, BY_ARGUMENT };

typedef struct value {
  char **texts; /* as they were written */
  size_t count;
  int64_t number; /* what the last text means */
  int by;
} value;

struct config {
  const config_program *program;
  size_t count; /* of the program's own options */
  size_t all;   /* with those that every program has, behind them */
  value *values;
  char **operands;
  int operand_count;
  char *error;
  size_t error_size;
};

const config_option config_own_options[OWN_COUNT + 1] = {
    {"config", CONFIG_STRING, NULL, 0, 0, "FILE",
     "A file of options, one a line: name = value."},
    {"help", CONFIG_FLAG, NULL, 0, 0, NULL, "Shows this."},
    {"version", CONFIG_FLAG, NULL, 0, 0, NULL, "Shows the version."},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static bool failed(config *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool failed(config *c, const char *format, ...) {
  va_list args;

  va_start(args, format);
  (void)vsnprintf(c->error, c->error_size, format, args);
  va_end(args);
  return false;
}

static bool no_memory(config *c) {
  return failed(c, "There is not enough memory for the options.");
}

static const config_option *option_at(const config *c, size_t at) {
  return at < c->count ? &c->program->options[at]
                       : &config_own_options[at - c->count];
}

static bool find(const config *c, const char *name, size_t len, size_t *at) {
  for (size_t i = 0; i < c->all; i++) {
    const char *known = option_at(c, i)->name;

    if (strlen(known) == len && memcmp(known, name, len) == 0) {
      *at = i;
      return true;
    }
  }
  return false;
}

/* ---- values ---- */

static void drop_texts(value *v) {
  for (size_t i = 0; i < v->count; i++)
    free(v->texts[i]);
  free(v->texts);
  v->texts = NULL;
  v->count = 0;
}

static bool keep_text(value *v, const char *text) {
  char **more = realloc(v->texts, (v->count + 1) * sizeof *more);

  if (more == NULL)
    return false;
  v->texts = more;
  more[v->count] = strdup(text);
  if (more[v->count] == NULL)
    return false;
  v->count++;
  return true;
}

/* place begins the sentence about a wrong value. */
static bool set(config *c, size_t at, const char *text, int by,
                const char *place) {
  const config_option *o = option_at(c, at);
  value *v = &c->values[at];
  int64_t number;
  char why[192];

  if (!config_value_read(o, text, &number, why, sizeof why))
    return failed(c, "%s %s.", place, why);
  if (v->by > by)
    return true;
  if (v->by != by || o->kind != CONFIG_LIST)
    drop_texts(v);
  if (!keep_text(v, text))
    return no_memory(c);
  v->number = number;
  v->by = by;
  return true;
}

static bool set_defaults(config *c) {
  char place[PLACE_SIZE];

  for (size_t i = 0; i < c->count; i++) {
    const config_option *o = option_at(c, i);

    (void)snprintf(place, sizeof place, "The default of --%s:", o->name);
    if (o->value != NULL && !set(c, i, o->value, BY_DEFAULT, place))
      return false;
  }
  return true;
}

/* ---- the environment ---- */

static bool environment_name(const config *c, const char *name, char *out,
                             size_t size) {
  int len = snprintf(out, size, "%s_%s", c->program->prefix, name);

  if (len < 0 || (size_t)len >= size)
    return false;
  for (char *p = out; *p != '\0'; p++) {
    if (*p >= 'a' && *p <= 'z')
      *p = (char)(*p - 'a' + 'A');
    else if (*p == '-')
      *p = '_';
  }
  return true;
}

static bool read_environment(config *c) {
  char name[NAME_SIZE];

  if (c->program->prefix == NULL)
    return true;
  for (size_t i = 0; i < c->all; i++) {
    const char *text;

    if (i > c->count || /* nobody asks for help by a variable */
        !environment_name(c, option_at(c, i)->name, name, sizeof name))
      continue;
    text = getenv(name);
    if (text != NULL && *text != '\0' && !set(c, i, text, BY_ENVIRONMENT, name))
      return false;
  }
  return true;
}

/* ---- the command line ---- */

static bool add_operand(config *c, char *word) {
  if (c->program->operands == NULL)
    return failed(c, "There is one word too many: \"%.100s\".", word);
  c->operands[c->operand_count++] = word;
  return true;
}

/* argv[i] begins with two dashes; *used counts the words that it takes. */
static bool read_argument(config *c, char **argv, int i, int *used) {
  const char *name = argv[i] + 2, *equals = strchr(name, '=');
  size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name), at;
  const char *text = equals != NULL ? equals + 1 : NULL;
  char place[PLACE_SIZE];

  *used = 1;
  if (!find(c, name, len, &at))
    return failed(c, "There is no option --%.*s; --help shows them.",
                  len < 100 ? (int)len : 100, name);
  if (text == NULL && option_at(c, at)->kind == CONFIG_FLAG) {
    text = "yes";
  } else if (text == NULL) {
    text = argv[i + 1];
    *used = 2;
  }
  if (text == NULL)
    return failed(c, "--%s needs a value.", option_at(c, at)->name);
  (void)snprintf(place, sizeof place, "--%s", option_at(c, at)->name);
  return set(c, at, text, BY_ARGUMENT, place);
}

static bool read_arguments(config *c, int argc, char **argv) {
  bool options = true;
  int used;

  for (int i = 1; i < argc; i += used) {
    used = 1;
    if (options && strcmp(argv[i], "--") == 0) {
      options = false;
    } else if (options && strcmp(argv[i], "-h") == 0) {
      if (!set(c, c->count + 1, "yes", BY_ARGUMENT, "-h"))
        return false;
    } else if (options && strncmp(argv[i], "--", 2) == 0) {
      if (!read_argument(c, argv, i, &used))
        return false;
    } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
      return failed(c, "There is no option %.100s; --help shows them.",
                    argv[i]);
    } else if (!add_operand(c, argv[i])) {
      return false;
    }
  }
  return true;
}

/* ---- the file ---- */

static char *trimmed(char *s) {
  size_t len;

  s += strspn(s, " \t");
  len = strlen(s);
  while (len != 0 && strchr(" \t\r", s[len - 1]) != NULL)
    len--;
  s[len] = '\0';
  return s;
}

static bool read_line(config *c, const char *path, size_t number, char *line) {
  char *name = trimmed(line), *equals, place[PLACE_SIZE];
  size_t at;

  if (*name == '\0' || *name == '#')
    return true;
  (void)snprintf(place, sizeof place, "%.200s, line %zu:", path, number);
  equals = strchr(name, '=');
  if (equals == NULL)
    return failed(c, "%s there is no '=' in it.", place);
  *equals = '\0';
  name = trimmed(name);
  if (!find(c, name, strlen(name), &at) || at >= c->count)
    return failed(c, "%s there is no option \"%.60s\".", place, name);
  (void)snprintf(place, sizeof place, "%.200s, line %zu: %s", path, number,
                 name);
  return set(c, at, trimmed(equals + 1), BY_FILE, place);
}

static bool read_text(config *c, const char *path, char *data, size_t len) {
  size_t number = 1;

  if (memchr(data, '\0', len) != NULL)
    return failed(c, "%.200s has a zero byte in it.", path);
  for (char *line = data, *end; line != NULL; line = end, number++) {
    end = strchr(line, '\n');
    if (end != NULL)
      *end++ = '\0';
    if (!read_line(c, path, number, line))
      return false;
  }
  return true;
}

static bool read_file(config *c, const char *path) {
  char *data = malloc(FILE_MOST + 2);
  FILE *file = fopen(path, "re");
  bool done = false;
  size_t len;

  if (data == NULL) {
    (void)no_memory(c);
  } else if (file == NULL) {
    (void)failed(c, "%.200s cannot be opened: %s.", path, strerror(errno));
  } else {
    len = fread(data, 1, FILE_MOST + 1, file);
    data[len] = '\0';
    if (ferror(file) != 0)
      (void)failed(c, "%.200s cannot be read: %s.", path, strerror(errno));
    else if (len > FILE_MOST)
      (void)failed(c, "%.200s is larger than a file of options.", path);
    else
      done = read_text(c, path, data, len);
  }
  if (file != NULL)
    (void)fclose(file);
  free(data);
  return done;
}

/* ---- all of it ---- */

static bool read_all(config *c, int argc, char **argv) {
  const char *path;

  if (!set_defaults(c) || !read_arguments(c, argc, argv) ||
      !read_environment(c))
    return false;
  path = config_string(c, "config");
  /* Asked for help, a broken file is no reason to stay silent. */
  if (path == NULL || config_flag(c, "help") || config_flag(c, "version"))
    return true;
  return read_file(c, path);
}

config *config_read(const config_program *program, int argc, char **argv,
                    char *error, size_t error_size) {
  config *c = calloc(1, sizeof *c);
  bool done;

  if (error_size != 0)
    error[0] = '\0';
  if (c == NULL) {
    (void)snprintf(error, error_size, "There is not enough memory.");
    return NULL;
  }
  c->program = program;
  c->error = error;
  c->error_size = error_size;
  while (program->options[c->count].name != NULL)
    c->count++;
  c->all = c->count + OWN_COUNT;
  c->values = calloc(c->all, sizeof *c->values);
  c->operands = calloc((size_t)argc + 1, sizeof *c->operands);
  done = c->values != NULL && c->operands != NULL ? read_all(c, argc, argv)
                                                  : no_memory(c);
  c->error = NULL;
  if (!done) {
    config_free(c);
    return NULL;
  }
  return c;
}

void config_free(config *c) {
  if (c == NULL)
    return;
  for (size_t i = 0; c->values != NULL && i < c->all; i++)
    drop_texts(&c->values[i]);
  free(c->values);
  free(c->operands);
  free(c);
}

/* An option that is not in the table is as one that nobody set. */
static const value *value_of(const config *c, const char *name) {
  static const value nothing = {NULL, 0, 0, BY_NOBODY};
  size_t at;

  return find(c, name, strlen(name), &at) ? &c->values[at] : &nothing;
}

const char *config_string(const config *c, const char *name) {
  const value *v = value_of(c, name);

  return v->count != 0 ? v->texts[v->count - 1] : NULL;
}

int64_t config_number(const config *c, const char *name) {
  return value_of(c, name)->number;
}

bool config_flag(const config *c, const char *name) {
  return value_of(c, name)->number != 0;
}

bool config_is_set(const config *c, const char *name) {
  return value_of(c, name)->by > BY_DEFAULT;
}

bool config_is_argument(const config *c, const char *name) {
  return value_of(c, name)->by == BY_ARGUMENT;
}

size_t config_list(const config *c, const char *name,
                   const char *const **values) {
  const value *v = value_of(c, name);

  *values = (const char *const *)v->texts;
  return v->count;
}

int config_operands(const config *c, char *const **operands) {
  *operands = c->operands;
  return c->operand_count;
}
