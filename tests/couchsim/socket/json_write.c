/*
 * Writing of JSON, and looking into it.
 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

void couch_add_json_string(couch_buf *out, const char *text, size_t len) {
  static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
  size_t plain = 0;
  couch_add(out, "\"", 1);
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    const char *at;
    if (c >= 0x20 && c != '"' && c != '\\')
      continue;
    couch_add(out, text + plain, i - plain);
    plain = i + 1;
    at = c != 0 ? strchr(from, c) : NULL;
    if (at != NULL)
      couch_addf(out, "\\%c", to[at - from]);
    else
      couch_addf(out, "\\u%04X", (unsigned)c);
  }
  couch_add(out, text + plain, len - plain);
  couch_add(out, "\"", 1);
}

void couch_add_json_text(couch_buf *out, const char *text) {
  couch_add_json_string(out, text, strlen(text));
}

static void write_start(couch_buf *out, const couch_json *v, bool with_key) {
  if (with_key && v->key != NULL) {
    couch_add_json_string(out, v->key, v->key_len);
    couch_add(out, ":", 1);
  }
  switch (v->kind) {
  case COUCH_NULL:
    couch_add(out, "null", 4);
    break;
  case COUCH_FALSE:
    couch_add(out, "false", 5);
    break;
  case COUCH_TRUE:
    couch_add(out, "true", 4);
    break;
  case COUCH_NUMBER:
    couch_add(out, v->text, v->len);
    break;
  case COUCH_STRING:
    couch_add_json_string(out, v->text, v->len);
    break;
  case COUCH_ARRAY:
    couch_add(out, "[", 1);
    break;
  case COUCH_OBJECT:
    couch_add(out, "{", 1);
    break;
  }
}

static void write_value(couch_buf *out, const couch_json *root, bool with_key) {
  const couch_json *v = root;
  write_start(out, v, with_key);
  for (;;) {
    if (v->kind >= COUCH_ARRAY && v->first != NULL) {
      v = v->first;
      write_start(out, v, true);
      continue;
    }
    if (v->kind >= COUCH_ARRAY)
      couch_add(out, v->kind == COUCH_OBJECT ? "}" : "]", 1);
    while (v != root && v->next == NULL) {
      v = v->parent;
      couch_add(out, v->kind == COUCH_OBJECT ? "}" : "]", 1);
    }
    if (v == root)
      return;
    v = v->next;
    couch_add(out, ",", 1);
    write_start(out, v, true);
  }
}

void couch_json_write(couch_buf *out, const couch_json *value) {
  write_value(out, value, false);
}

void couch_json_write_members(couch_buf *out, const couch_json *object) {
  bool some = false;
  couch_add(out, "", 0);
  for (const couch_json *v = object->first; v != NULL; v = v->next) {
    if (v->key[0] == '_')
      continue;
    if (some)
      couch_add(out, ",", 1);
    some = true;
    write_value(out, v, true);
  }
}

const couch_json *couch_json_get(const couch_json *object, const char *key) {
  const couch_json *found = NULL;
  size_t len = strlen(key);
  if (object == NULL || object->kind != COUCH_OBJECT)
    return NULL;
  for (const couch_json *v = object->first; v != NULL; v = v->next)
    if (v->key_len == len && memcmp(v->key, key, len) == 0)
      found = v;
  return found;
}

const char *couch_json_text(const couch_json *object, const char *key) {
  const couch_json *v = couch_json_get(object, key);
  return v != NULL && v->kind == COUCH_STRING ? v->text : NULL;
}

bool couch_json_true(const couch_json *object, const char *key) {
  const couch_json *v = couch_json_get(object, key);
  return v != NULL && v->kind == COUCH_TRUE;
}

double couch_json_number(const couch_json *value) {
  return value != NULL && value->kind == COUCH_NUMBER
             ? strtod(value->text, NULL)
             : 0;
}

int64_t couch_json_int(const couch_json *object, const char *key,
                       int64_t otherwise) {
  const couch_json *v = couch_json_get(object, key);
  double d;
  int64_t n;
  if (v == NULL || v->kind != COUCH_NUMBER)
    return otherwise;
  if (couch_to_int(v->text, &n))
    return n;
  d = couch_json_number(v);
  return d > -9e18 && d < 9e18 ? (int64_t)d : otherwise;
}

static int rank(couch_kind kind) { return (int)kind; }

int couch_json_compare(const couch_json *a, const couch_json *b) {
  int result;
  if (a->kind != b->kind)
    return rank(a->kind) < rank(b->kind) ? -1 : 1;
  if (a->kind < COUCH_NUMBER)
    return 0;
  if (a->kind == COUCH_NUMBER) {
    double x = couch_json_number(a), y = couch_json_number(b);
    return x < y ? -1 : x > y;
  }
  if (a->kind == COUCH_STRING) {
    size_t n = a->len < b->len ? a->len : b->len;
    result = n > 0 ? memcmp(a->text, b->text, n) : 0;
    return result != 0 ? result : a->len < b->len ? -1 : a->len > b->len;
  }
  {
    couch_buf x = {0}, y = {0};
    couch_json_write(&x, a);
    couch_json_write(&y, b);
    result = strcmp(couch_buf_text(&x), couch_buf_text(&y));
    couch_buf_free(&x);
    couch_buf_free(&y);
    return result;
  }
}
