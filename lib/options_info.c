/*
 * The option table as data, and looking things up in it.
 */
#include "options_info.h"

#include <string.h>

#include "str.h"

/* An ENUM's default is a word here; its number is found when it is needed. */
#define PLACE(name) offsetof(cfi_settings, name)
#define STRING(name, secret, def, summary)                                     \
  {{#name, CHANGEFEED_OPTION_STRING, "", 0, 0, 0, "", def, secret, summary},   \
   PLACE(name),                                                                \
   0},
#define INT(name, unit, min, max, zero, def, summary)                          \
  {{#name, CHANGEFEED_OPTION_INT, unit, min, max, zero, "", #def, 0, summary}, \
   PLACE(name),                                                                \
   def},
#define SWITCH(name, def, summary)                                             \
  {{#name, CHANGEFEED_OPTION_SWITCH, "", 0, 1, 0, "", #def, 0, summary},       \
   PLACE(name),                                                                \
   def},
#define ENUM(name, values, def, summary)                                       \
  {{#name, CHANGEFEED_OPTION_ENUM, "", 0, 0, 0, values, def, 0, summary},      \
   PLACE(name),                                                                \
   0},
#define LIST(name, secret, summary)                                            \
  {{#name, CHANGEFEED_OPTION_LIST, "", 0, 0, 0, "", "", secret, summary},      \
   PLACE(name),                                                                \
   0},
#define JSON(name, type, summary)                                              \
  {{#name, CHANGEFEED_OPTION_JSON, "", 0, 0, 0, type, "", 0, summary},         \
   PLACE(name),                                                                \
   0},

const cfi_option cfi_option_table[] = {
#include "options_table.h"
};

const size_t cfi_option_count =
    sizeof cfi_option_table / sizeof cfi_option_table[0];

int changefeed_option_at(size_t index, const changefeed_option_info **info) {
  if (info == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (index >= cfi_option_count)
    return CHANGEFEED_END;
  *info = &cfi_option_table[index].info;
  return CHANGEFEED_OK;
}

static bool same_name(const char *known, const char *name) {
  while (*known != '\0' && (*name == '-' ? '_' : *name) == *known) {
    known++;
    name++;
  }
  return *known == '\0' && *name == '\0';
}

const cfi_option *cfi_option_find(const char *name) {
  for (size_t i = 0; i < cfi_option_count; i++)
    if (same_name(cfi_option_table[i].info.name, name))
      return &cfi_option_table[i];
  return NULL;
}

/* A name without its last word ("heartbeat", "retry") is as near as one slip.
 */
static unsigned distance(const char *known, const char *name, size_t len) {
  if (strncmp(known, name, len) == 0 && known[len] == '_')
    return 1;
  return cfi_str_distance(known, name);
}

const char *cfi_option_nearest(const char *name) {
  char plain[48]; /* longer names are near to none */
  size_t len = strlen(name);
  const char *best = NULL;
  unsigned best_distance;

  if (len == 0 || len >= sizeof plain)
    return NULL;
  for (size_t i = 0; i <= len; i++)
    plain[i] = (char)(name[i] == '-' ? '_' : cfi_str_lower(name[i]));
  best_distance = (unsigned)len / 3 + 1;
  for (size_t i = 0; i < cfi_option_count; i++) {
    unsigned d = distance(cfi_option_table[i].info.name, plain, len);
    if (d < best_distance || (d == best_distance && best == NULL)) {
      best = cfi_option_table[i].info.name;
      best_distance = d;
    }
  }
  return best;
}

/* Members of cfi_settings are reached by their offset, which is right by
   construction: name and offset come from one row. */
static void *member(const cfi_option *row, cfi_settings *s) {
  return (char *)s + row->offset;
}

char **cfi_option_text(const cfi_option *row, cfi_settings *s) {
  return member(row, s);
}

int64_t *cfi_option_int(const cfi_option *row, cfi_settings *s) {
  return member(row, s);
}

cfi_list *cfi_option_list(const cfi_option *row, cfi_settings *s) {
  return member(row, s);
}

int cfi_option_word(const char *words, const char *word) {
  size_t len = strlen(word);

  for (int index = 0; len != 0; index++) {
    size_t n = strcspn(words, "|");
    if (n == len && memcmp(words, word, n) == 0)
      return index;
    if (words[n] == '\0')
      break;
    words += n + 1;
  }
  return -1;
}
