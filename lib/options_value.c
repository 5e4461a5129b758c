/*
 * Checks single values of options. Sentences are made here; a secret's value
 * is never in them.
 */
#include <string.h>

#include "json.h"
#include "options_info.h"
#include "str.h"

enum {
  SHOWN = 60,
  SOCKET_PATH_MAX = 107,
  FILE_PREFIX = 5,
  JSON_DEPTH_MAX = 1000
};

/* A value for a sentence: quoted, and cut when it is long. */
typedef struct shown {
  char text[SHOWN + 8];
} shown;

static shown show(const cfi_option *row, const char *value) {
  shown s;
  size_t len = strlen(value);
  bool cut = len > SHOWN;

  if (row->info.secret != 0) {
    memcpy(s.text, "the value", sizeof "the value");
    return s;
  }
  if (cut) {
    len = SHOWN;
    while (len != 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
      len--;
  }
  s.text[0] = '"';
  memcpy(s.text + 1, value, len);
  memcpy(s.text + 1 + len, cut ? "...\"" : "\"", cut ? 5 : 2);
  return s;
}

static int refuse(const cfi_option *row, const char *value, const char *why,
                  cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION, "%s: %s %s",
                       row->info.name, show(row, value).text, why);
}

/* ---- numbers, switches, words ---- */

static int out_of_range(const cfi_option *row, const char *value,
                        cfi_error *error) {
  const changefeed_option_info *i = &row->info;
  return cfi_error_set(
      error, CHANGEFEED_ERR_RANGE, "%s: %s is not %s%lld..%lld%s%s", i->name,
      value, i->zero != 0 ? "0 or " : "in ", (long long)i->min,
      (long long)i->max, i->unit[0] != '\0' ? " " : "", i->unit);
}

int cfi_option_check_int(const cfi_option *row, int64_t value,
                         cfi_error *error) {
  const changefeed_option_info *i = &row->info;
  char text[CFI_INT_TEXT];

  if (i->kind != CHANGEFEED_OPTION_INT && i->kind != CHANGEFEED_OPTION_SWITCH)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "%s: this option is not a number; "
                         "changefeed_options_set takes it as text",
                         i->name);
  if ((value >= i->min && value <= i->max) || (value == 0 && i->zero != 0))
    return CHANGEFEED_OK;
  (void)cfi_str_from_int(text, value);
  return out_of_range(row, text, error);
}

static int read_int(const cfi_option *row, const char *value, int64_t *out,
                    cfi_error *error) {
  const changefeed_option_info *i = &row->info;
  size_t digits = value[0] == '-' ? 1 : 0;

  if (strcmp(i->name, "seq_interval") == 0 && strcmp(value, "auto") == 0) {
    *out = 0;
    return CHANGEFEED_OK;
  }
  if (cfi_str_to_int(value, strlen(value), out))
    return cfi_option_check_int(row, *out, error);
  /* A number of more digits than any value has is one out of range. */
  if (value[digits] != '\0' &&
      value[digits + strspn(value + digits, "0123456789")] == '\0')
    return out_of_range(row, show(row, value).text, error);
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                       "%s: %s is not a number in decimal without a unit%s%s",
                       i->name, show(row, value).text,
                       i->unit[0] != '\0' ? "; it counts " : "", i->unit);
}

static int read_switch(const cfi_option *row, const char *value, int64_t *out,
                       cfi_error *error) {
  int word = cfi_option_word("0|1|false|true|no|yes|off|on", value);

  if (word < 0)
    return refuse(row, value,
                  "is not one of 0, 1, true, false, yes, no, on, off", error);
  *out = word % 2;
  return CHANGEFEED_OK;
}

static int read_word(const cfi_option *row, const char *value, int64_t *out,
                     cfi_error *error) {
  int word = cfi_option_word(row->info.values, value);

  if (word < 0)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "%s: %s is not one of %s", row->info.name,
                         show(row, value).text, row->info.values);
  *out = word;
  return CHANGEFEED_OK;
}

int cfi_option_read(const cfi_option *row, const char *value, int64_t *out,
                    cfi_error *error) {
  switch (row->info.kind) {
  case CHANGEFEED_OPTION_INT:
    return read_int(row, value, out, error);
  case CHANGEFEED_OPTION_SWITCH:
    return read_switch(row, value, out, error);
  default:
    return read_word(row, value, out, error);
  }
}

/* ---- texts ---- */

static bool has_control(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f)
      return true;
  return false;
}

/* "design/name": a part on each side of the first '/'. */
static bool is_path(const char *text) {
  const char *slash = strchr(text, '/');

  return slash != NULL && slash != text && slash[1] != '\0';
}

static bool is_visible_ascii(const char *text) {
  for (; *text != '\0'; text++)
    if (*text <= ' ' || *text >= 0x7f)
      return false;
  return true;
}

/* What is special about one option's text: half a sentence, or NULL. */
static const char *complaint(const char *name, const char *value) {
  if (strcmp(name, "since") == 0 && value[0] == '\0')
    return "is no position; it is 0, now, or a seq";
  if (strcmp(name, "checkpoint") == 0 && strcmp(value, "none") != 0 &&
      strcmp(value, "couch") != 0 &&
      (strncmp(value, "file:", FILE_PREFIX) != 0 || value[FILE_PREFIX] == '\0'))
    return "is not none, couch or file:PATH";
  if (strcmp(name, "filter") == 0 && value[0] != '_' && !is_path(value))
    return "is not design/name, nor a filter of the server such as _design";
  if (strcmp(name, "view") == 0 && !is_path(value))
    return "is not design/name";
  if (strcmp(name, "bearer_token") == 0 && !is_visible_ascii(value))
    return "holds characters that no token has";
  if (strcmp(name, "unix_socket") == 0 && strlen(value) > SOCKET_PATH_MAX)
    return "is longer than the 107 bytes a socket's path may have";
  return NULL;
}

/* What is seen of a JSON option's text. */
typedef struct json_shape {
  cfi_json_kind kind; /* of the whole */
  bool only_strings;  /* it is an array of nothing but strings */
} json_shape;

static cfi_json_verdict look(void *user, const cfi_json_event *event) {
  json_shape *shape = user;

  if (event->kind == CFI_JSON_ARRAY_END || event->kind == CFI_JSON_OBJECT_END)
    return CFI_JSON_GO_ON;
  if (event->depth == 0)
    shape->kind = event->kind;
  else if (event->kind != CFI_JSON_STRING)
    shape->only_strings = false;
  return CFI_JSON_GO_ON;
}

static int check_json(const cfi_alloc *alloc, const cfi_option *row,
                      const char *value, cfi_error *error) {
  bool array = strcmp(row->info.values, "array") == 0;
  json_shape shape = {CFI_JSON_NULL, true};
  cfi_json_result rc;

  rc =
      cfi_json_parse(alloc, JSON_DEPTH_MAX, value, strlen(value), look, &shape);
  if (rc == CFI_JSON_NOMEM)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                         "%s: there is no memory to read the value",
                         row->info.name);
  if (rc != CFI_JSON_OK)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION, "%s: %s: %s",
                         row->info.name, show(row, value).text,
                         cfi_json_why(rc));
  if (array && (shape.kind != CFI_JSON_ARRAY || !shape.only_strings))
    return refuse(row, value, "is not a JSON array of strings", error);
  if (!array && shape.kind != CFI_JSON_OBJECT)
    return refuse(row, value, "is not a JSON object", error);
  return CHANGEFEED_OK;
}

int cfi_option_check_text(const cfi_alloc *alloc, const cfi_option *row,
                          const char *value, cfi_error *error) {
  const char *name = row->info.name, *why;

  if (row->info.kind == CHANGEFEED_OPTION_JSON)
    return check_json(alloc, row, value, error);
  if (has_control(value))
    return refuse(row, value, "holds a control character", error);
  if (row->info.kind == CHANGEFEED_OPTION_LIST) {
    if (strcmp(name, "header") == 0)
      return cfi_option_check_header(value, error);
    if (strcmp(name, "query") == 0)
      return cfi_option_check_query(value, error);
    return value[0] != '\0' ? CHANGEFEED_OK
                            : refuse(row, value, "is empty", error);
  }
  /* An empty text takes the option back where its default is none. */
  why = value[0] != '\0' || row->info.defaults[0] != '\0'
            ? complaint(name, value)
            : NULL;
  return why != NULL ? refuse(row, value, why, error) : CHANGEFEED_OK;
}
