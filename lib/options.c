/*
 * Options objects: making, setting, copying and freeing their values. What a
 * value may be is decided in options_value.c and options_check.c.
 */
#include "options.h"

#include <string.h>

#include "options_info.h"
#include "str.h"

static bool is_text_kind(const cfi_option *row) {
  return row->info.kind == CHANGEFEED_OPTION_STRING ||
         row->info.kind == CHANGEFEED_OPTION_JSON;
}

static void free_text(const cfi_alloc *alloc, const cfi_option *row,
                      char *text) {
  if (row->info.secret != 0)
    cfi_free_secret(alloc, text);
  else
    cfi_free(alloc, text);
}

static void free_list(const cfi_alloc *alloc, const cfi_option *row,
                      cfi_list *list) {
  for (size_t i = 0; i < list->count; i++)
    free_text(alloc, row, list->items[i]);
  cfi_free(alloc, list->items);
  list->items = NULL;
  list->count = 0;
}

/* ---- settings ---- */

static bool set_default(const cfi_alloc *alloc, const cfi_option *row,
                        cfi_settings *s) {
  if (row->info.kind == CHANGEFEED_OPTION_ENUM) {
    *cfi_option_int(row, s) =
        cfi_option_word(row->info.values, row->info.defaults);
  } else if (row->info.kind == CHANGEFEED_OPTION_LIST) {
    *cfi_option_list(row, s) = (cfi_list){NULL, 0};
  } else if (!is_text_kind(row)) {
    *cfi_option_int(row, s) = row->initial;
  } else if (row->info.defaults[0] == '\0') {
    *cfi_option_text(row, s) = NULL;
  } else {
    *cfi_option_text(row, s) = cfi_strdup(alloc, row->info.defaults);
    return *cfi_option_text(row, s) != NULL;
  }
  return true;
}

static bool copy_list(const cfi_alloc *alloc, const cfi_list *from,
                      cfi_list *to) {
  if (from->count == 0)
    return true;
  to->items = cfi_calloc(alloc, from->count, sizeof *to->items);
  if (to->items == NULL)
    return false;
  for (; to->count < from->count; to->count++) {
    to->items[to->count] = cfi_strdup(alloc, from->items[to->count]);
    if (to->items[to->count] == NULL)
      return false;
  }
  return true;
}

int cfi_settings_copy(const cfi_alloc *alloc, const cfi_settings *from,
                      cfi_settings *to) {
  cfi_settings source = *from; /* the accessors take no const */
  bool ok = true;

  memset(to, 0, sizeof *to);
  for (size_t i = 0; ok && i < cfi_option_count; i++) {
    const cfi_option *row = &cfi_option_table[i];

    if (row->info.kind == CHANGEFEED_OPTION_LIST) {
      ok = copy_list(alloc, cfi_option_list(row, &source),
                     cfi_option_list(row, to));
    } else if (is_text_kind(row)) {
      const char *text = *cfi_option_text(row, &source);
      char *copy = text != NULL ? cfi_strdup(alloc, text) : NULL;
      *cfi_option_text(row, to) = copy;
      ok = text == NULL || copy != NULL;
    } else {
      *cfi_option_int(row, to) = *cfi_option_int(row, &source);
    }
  }
  if (!ok) {
    cfi_settings_free(alloc, to);
    return CHANGEFEED_ERR_NOMEM;
  }
  return CHANGEFEED_OK;
}

void cfi_settings_free(const cfi_alloc *alloc, cfi_settings *s) {
  for (size_t i = 0; i < cfi_option_count; i++) {
    const cfi_option *row = &cfi_option_table[i];

    if (row->info.kind == CHANGEFEED_OPTION_LIST)
      free_list(alloc, row, cfi_option_list(row, s));
    else if (is_text_kind(row))
      free_text(alloc, row, *cfi_option_text(row, s));
  }
  memset(s, 0, sizeof *s);
}

/* ---- objects ---- */

int cfi_options_new_with(const cfi_alloc *alloc, changefeed_options **out) {
  changefeed_options *o = cfi_calloc(alloc, 1, sizeof *o);

  if (o == NULL)
    return CHANGEFEED_ERR_NOMEM;
  o->alloc = *alloc;
  cfi_error_clear(&o->error);
  for (size_t i = 0; i < cfi_option_count; i++) {
    if (!set_default(&o->alloc, &cfi_option_table[i], &o->set)) {
      changefeed_options_free(o);
      return CHANGEFEED_ERR_NOMEM;
    }
  }
  *out = o;
  return CHANGEFEED_OK;
}

int changefeed_options_new(changefeed_options **out) {
  cfi_alloc alloc;

  if (out == NULL || !cfi_alloc_init(&alloc, NULL))
    return CHANGEFEED_ERR_INVALID;
  return cfi_options_new_with(&alloc, out);
}

void changefeed_options_free(changefeed_options *options) {
  cfi_alloc alloc;

  if (options == NULL)
    return;
  alloc = options->alloc;
  cfi_settings_free(&alloc, &options->set);
  cfi_free(&alloc, options);
}

const char *changefeed_options_error(const changefeed_options *options) {
  return options != NULL ? options->error.text : "";
}

/* ---- setting ---- */

static int no_memory(changefeed_options *o, const cfi_option *row) {
  return cfi_error_set(&o->error, CHANGEFEED_ERR_NOMEM,
                       "%s: there is no memory for the value", row->info.name);
}

static int set_text(changefeed_options *o, const cfi_option *row,
                    const char *value) {
  char **place = cfi_option_text(row, &o->set);
  char *copy = NULL;

  if (value == NULL)
    value = row->info.defaults;
  if (value[0] != '\0') {
    copy = cfi_strdup(&o->alloc, value);
    if (copy == NULL)
      return no_memory(o, row);
  }
  free_text(&o->alloc, row, *place);
  *place = copy;
  return CHANGEFEED_OK;
}

static int set_list(changefeed_options *o, const cfi_option *row,
                    const char *value) {
  cfi_list *place = cfi_option_list(row, &o->set);
  cfi_list fresh = {NULL, 0};

  if (value != NULL) {
    fresh.items = cfi_calloc(&o->alloc, 1, sizeof *fresh.items);
    if (fresh.items == NULL)
      return no_memory(o, row);
    fresh.items[0] = cfi_strdup(&o->alloc, value);
    if (fresh.items[0] == NULL) {
      free_list(&o->alloc, row, &fresh);
      return no_memory(o, row);
    }
    fresh.count = 1;
  }
  free_list(&o->alloc, row, place);
  *place = fresh;
  return CHANGEFEED_OK;
}

static int invalid(changefeed_options *o, const char *function,
                   const char *what) {
  return cfi_error_set(&o->error, CHANGEFEED_ERR_INVALID, "%s: %s", function,
                       what);
}

static int unknown(changefeed_options *o, const char *name) {
  const char *near = cfi_option_nearest(name);

  if (near == NULL)
    return cfi_error_set(&o->error, CHANGEFEED_ERR_OPTION,
                         "there is no option \"%.100s\"", name);
  return cfi_error_set(&o->error, CHANGEFEED_ERR_OPTION,
                       "there is no option \"%.100s\"; did you mean %s?", name,
                       near);
}

static int set_number(changefeed_options *o, const cfi_option *row,
                      const char *value) {
  int64_t number = 0;
  int rc;

  if (value == NULL) {
    (void)set_default(&o->alloc, row, &o->set);
    return CHANGEFEED_OK;
  }
  rc = cfi_option_read(row, value, &number, &o->error);
  if (rc == CHANGEFEED_OK)
    *cfi_option_int(row, &o->set) = number;
  return rc;
}

int changefeed_options_set(changefeed_options *options, const char *name,
                           const char *value) {
  const cfi_option *row;
  int rc = CHANGEFEED_OK;

  if (options == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (name == NULL)
    return invalid(options, "changefeed_options_set", "name is NULL");
  row = cfi_option_find(name);
  if (row == NULL)
    return unknown(options, name);
  if (row->info.kind != CHANGEFEED_OPTION_LIST && !is_text_kind(row))
    return set_number(options, row, value);
  if (value != NULL)
    rc = cfi_option_check_text(&options->alloc, row, value, &options->error);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (row->info.kind == CHANGEFEED_OPTION_LIST)
    return set_list(options, row, value);
  rc = set_text(options, row, value);
  if (rc == CHANGEFEED_OK && strcmp(row->info.name, "since") == 0)
    options->since_given = value != NULL;
  return rc;
}

int changefeed_options_set_int(changefeed_options *options, const char *name,
                               int64_t value) {
  const cfi_option *row;
  int rc;

  if (options == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (name == NULL)
    return invalid(options, "changefeed_options_set_int", "name is NULL");
  row = cfi_option_find(name);
  if (row == NULL)
    return unknown(options, name);
  rc = cfi_option_check_int(row, value, &options->error);
  if (rc == CHANGEFEED_OK)
    *cfi_option_int(row, &options->set) = value;
  return rc;
}

static int append(changefeed_options *o, const cfi_option *row,
                  const char *value) {
  cfi_list *list = cfi_option_list(row, &o->set);
  char *copy = cfi_strdup(&o->alloc, value);
  char **items;

  if (copy == NULL)
    return no_memory(o, row);
  items = cfi_resize(&o->alloc, list->items, list->count + 1, sizeof *items);
  if (items == NULL) {
    free_text(&o->alloc, row, copy);
    return no_memory(o, row);
  }
  items[list->count++] = copy;
  list->items = items;
  return CHANGEFEED_OK;
}

int changefeed_options_add(changefeed_options *options, const char *name,
                           const char *value) {
  const cfi_option *row;
  int rc;

  if (options == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (name == NULL || value == NULL)
    return invalid(options, "changefeed_options_add",
                   name == NULL ? "name is NULL" : "value is NULL");
  row = cfi_option_find(name);
  if (row == NULL)
    return unknown(options, name);
  if (row->info.kind != CHANGEFEED_OPTION_LIST)
    return cfi_error_set(&options->error, CHANGEFEED_ERR_OPTION,
                         "%s: this option has one value, which "
                         "changefeed_options_set sets",
                         row->info.name);
  if (cfi_option_list(row, &options->set)->count >= CFI_LIST_MAX)
    return cfi_error_set(&options->error, CHANGEFEED_ERR_LIMIT,
                         "%s: there are %d values already, the most there "
                         "can be",
                         row->info.name, CFI_LIST_MAX);
  rc = cfi_option_check_text(&options->alloc, row, value, &options->error);
  return rc == CHANGEFEED_OK ? append(options, row, value) : rc;
}

/* ---- callbacks and store ---- */

int changefeed_options_set_callbacks(changefeed_options *options,
                                     const changefeed_callbacks *callbacks) {
  static const char function[] = "changefeed_options_set_callbacks";

  if (options == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (callbacks == NULL)
    return invalid(options, function, "callbacks is NULL");
  if (callbacks->size != sizeof *callbacks)
    return invalid(options, function,
                   "size is none this library knows; use "
                   "CHANGEFEED_CALLBACKS_INIT");
  if (callbacks->on_change != NULL && callbacks->on_batch != NULL)
    return invalid(options, function,
                   "on_change and on_batch exclude each other");
  options->callbacks = *callbacks;
  return CHANGEFEED_OK;
}

int changefeed_options_is_set(const changefeed_options *options,
                              const char *name) {
  const cfi_option *row = name != NULL ? cfi_option_find(name) : NULL;
  cfi_settings *s;
  const char *text;

  if (options == NULL || name == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (row == NULL)
    return CHANGEFEED_ERR_OPTION;
  s = (cfi_settings *)(uintptr_t)&options->set; /* looked at only */
  if (row->info.kind == CHANGEFEED_OPTION_LIST)
    return cfi_option_list(row, s)->count != 0;
  if (!is_text_kind(row))
    return *cfi_option_int(row, s) !=
           (row->info.kind == CHANGEFEED_OPTION_ENUM
                ? cfi_option_word(row->info.values, row->info.defaults)
                : row->initial);
  text = *cfi_option_text(row, s);
  return strcmp(text != NULL ? text : "", row->info.defaults) != 0;
}

int changefeed_options_copy(changefeed_options **out,
                            const changefeed_options *options) {
  changefeed_options *copy;
  int rc;

  if (out == NULL || options == NULL)
    return CHANGEFEED_ERR_INVALID;
  rc = cfi_options_new_with(&options->alloc, &copy);
  if (rc != CHANGEFEED_OK)
    return rc;
  cfi_settings_free(&copy->alloc, &copy->set);
  rc = cfi_settings_copy(&copy->alloc, &options->set, &copy->set);
  if (rc != CHANGEFEED_OK) {
    changefeed_options_free(copy);
    return rc;
  }
  copy->since_given = options->since_given;
  copy->callbacks = options->callbacks;
  copy->store = options->store;
  *out = copy;
  return CHANGEFEED_OK;
}

int changefeed_options_set_store(changefeed_options *options,
                                 const changefeed_store *store) {
  static const char function[] = "changefeed_options_set_store";

  if (options == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (store == NULL)
    return invalid(options, function, "store is NULL");
  if (store->size != sizeof *store)
    return invalid(options, function,
                   "size is none this library knows; use "
                   "CHANGEFEED_STORE_INIT");
  if (store->load == NULL || store->save == NULL)
    return invalid(options, function, "load and save must both be there");
  options->store = *store;
  return CHANGEFEED_OK;
}
