/*
 * Options from any text: lines "name=value", "+name=value" to add to a list.
 * No text may break an object; a refused value changes nothing and is told in
 * one clean line, without the value of a secret; an accepted one reads back as
 * it was set, and set again as it reads, it is the same.
 */
#include "fuzz.h"

#include <string.h>

#include "options.h"
#include "options_info.h"
#include "str.h"

/* The value of an option as far as the next comparison needs it. */
static int64_t snapshot(const cfi_option *row, changefeed_options *o) {
  const char *text;

  switch (row->info.kind) {
  case CHANGEFEED_OPTION_LIST:
    return (int64_t)cfi_option_list(row, &o->set)->count;
  case CHANGEFEED_OPTION_STRING:
  case CHANGEFEED_OPTION_JSON:
    text = *cfi_option_text(row, &o->set);
    return text != NULL ? (int64_t)cfi_str_hash(1, text, strlen(text)) : 0;
  default:
    return *cfi_option_int(row, &o->set);
  }
}

/* What was set is what is there, and its plainest spelling says the same. */
static void check_reads_back(const cfi_option *row, changefeed_options *o,
                             const char *value) {
  char number[CFI_INT_TEXT];
  const char *text, *word;
  int64_t now;
  size_t len;

  switch (row->info.kind) {
  case CHANGEFEED_OPTION_LIST: {
    const cfi_list *list = cfi_option_list(row, &o->set);

    CFT_FUZZ_CHECK(list->count == (value != NULL ? 1 : 0));
    CFT_FUZZ_CHECK(value == NULL || strcmp(list->items[0], value) == 0);
    return;
  }
  case CHANGEFEED_OPTION_STRING:
  case CHANGEFEED_OPTION_JSON:
    text = *cfi_option_text(row, &o->set);
    value = value != NULL ? value : row->info.defaults;
    CFT_FUZZ_CHECK(strcmp(text != NULL ? text : "", value) == 0);
    return;
  case CHANGEFEED_OPTION_ENUM:
    now = *cfi_option_int(row, &o->set);
    word = value != NULL ? value : row->info.defaults;
    text = row->info.values;
    while (now-- != 0)
      text = strchr(text, '|') + 1;
    len = strcspn(text, "|");
    CFT_FUZZ_CHECK(strlen(word) == len && memcmp(word, text, len) == 0);
    return;
  default:
    now = *cfi_option_int(row, &o->set);
    if (row->info.kind == CHANGEFEED_OPTION_INT)
      CFT_FUZZ_CHECK(
          now == strtoll(value != NULL ? value : row->info.defaults, NULL, 10));
    CFT_FUZZ_CHECK((now >= row->info.min && now <= row->info.max) ||
                   (now == 0 && row->info.zero != 0));
    (void)cfi_str_from_int(number, now);
    CFT_FUZZ_CHECK(changefeed_options_set(o, row->info.name, number) ==
                   CHANGEFEED_OK);
    CFT_FUZZ_CHECK(*cfi_option_int(row, &o->set) == now);
    CFT_FUZZ_CHECK(changefeed_options_set_int(o, row->info.name, now) ==
                   CHANGEFEED_OK);
    CFT_FUZZ_CHECK(*cfi_option_int(row, &o->set) == now);
    return;
  }
}

/* A control character is never taken; the sentence must not tell the rest. */
static void check_secret(const cfi_option *row, changefeed_options *o,
                         const char *value) {
  static const char secret[] = "\001QqZzQq";
  size_t len = strlen(value);
  char *wrong = malloc(len + sizeof secret);

  CFT_FUZZ_CHECK(wrong != NULL);
  memcpy(wrong, value, len);
  memcpy(wrong + len, secret, sizeof secret);
  CFT_FUZZ_CHECK(changefeed_options_set(o, row->info.name, wrong) ==
                 CHANGEFEED_ERR_OPTION);
  CFT_FUZZ_CHECK(strstr(changefeed_options_error(o), secret + 1) == NULL);
  free(wrong);
}

static void check_sentence(const char *text) {
  CFT_FUZZ_CHECK(text[0] != '\0');
  CFT_FUZZ_CHECK(strlen(text) < CFI_ERROR_TEXT);
  for (; *text != '\0'; text++)
    CFT_FUZZ_CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

/* Nothing that was accepted could end a header or a line of a request. */
static void check_value(const cfi_option *row, const char *value) {
  if (row->info.kind == CHANGEFEED_OPTION_JSON)
    CFT_FUZZ_CHECK(cfi_str_is_utf8(value, strlen(value)));
  else
    CFT_FUZZ_CHECK(strpbrk(value, "\r\n") == NULL);
}

static void apply(changefeed_options *o, char *line) {
  bool add = line[0] == '+';
  char *name = line + (add ? 1 : 0);
  char *value = strchr(name, '=');
  const cfi_option *row;
  int64_t before = 0;
  int rc;

  if (value != NULL)
    *value++ = '\0';
  row = cfi_option_find(name);
  if (row != NULL)
    before = snapshot(row, o);
  if (row != NULL && row->info.secret != 0 && value != NULL)
    check_secret(row, o, value);
  rc = add ? changefeed_options_add(o, name, value)
           : changefeed_options_set(o, name, value);
  if (rc != CHANGEFEED_OK) {
    check_sentence(changefeed_options_error(o));
    CFT_FUZZ_CHECK(row == NULL || snapshot(row, o) == before);
    return;
  }
  CFT_FUZZ_CHECK(row != NULL);
  if (value != NULL)
    check_value(row, value);
  if (!add) {
    before = snapshot(row, o);
    CFT_FUZZ_CHECK(changefeed_options_set(o, name, value) == CHANGEFEED_OK);
    CFT_FUZZ_CHECK(snapshot(row, o) == before);
    check_reads_back(row, o, value);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), *line, *end;
  changefeed_options *o = NULL;
  cfi_settings copy;
  cfi_error error;

  CFT_FUZZ_CHECK(text != NULL);
  if (size != 0)
    memcpy(text, data, size);
  text[size] = '\0';
  CFT_FUZZ_CHECK(changefeed_options_new(&o) == CHANGEFEED_OK);
  for (line = text; line != NULL; line = end) {
    end = strchr(line, '\n');
    if (end != NULL)
      *end++ = '\0';
    apply(o, line);
  }
  cfi_error_clear(&error);
  if (cfi_options_check(o, &error) != CHANGEFEED_OK)
    check_sentence(error.text);
  CFT_FUZZ_CHECK(cfi_settings_copy(&o->alloc, &o->set, &copy) == CHANGEFEED_OK);
  cfi_settings_free(&o->alloc, &copy);
  changefeed_options_free(o);
  free(text);
  return 0;
}
