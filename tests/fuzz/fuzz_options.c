/*
 * Options from any text: lines "name=value", "+name=value" to add to a list.
 * No text may break an object; a refused value changes nothing and is told in
 * one clean line; an accepted one can be read back and set again.
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
