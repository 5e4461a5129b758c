/*
 * The revision of an edit: the MD5 of Erlang's external term format of
 * [Deleted, ParentNumber, ParentHash, Body, Attachments], as couch_db does it.
 */
#include "doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put32(couch_buf *out, unsigned tag, uint32_t n) {
  unsigned char b[5] = {(unsigned char)tag, (unsigned char)(n >> 24),
                        (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                        (unsigned char)n};
  couch_add(out, b, sizeof b);
}

static void atom(couch_buf *out, const char *name) {
  unsigned char head[3] = {100, 0, (unsigned char)strlen(name)};
  couch_add(out, head, sizeof head);
  couch_add_text(out, name);
}

static void binary(couch_buf *out, const void *bytes, size_t len) {
  put32(out, 109, (uint32_t)len);
  couch_add(out, bytes, len);
}

static void big(couch_buf *out, const char *text) {
  unsigned char bytes[256] = {0};
  unsigned char head[3];
  size_t len = 0;
  bool minus = *text == '-';
  for (const char *p = text + minus; *p != '\0'; p++) {
    unsigned carry = (unsigned)(*p - '0');
    for (size_t i = 0; i < len || carry > 0; i++) {
      if (i >= sizeof bytes)
        return; /* no such number is in a test */
      carry += bytes[i] * 10U;
      bytes[i] = (unsigned char)carry;
      carry >>= 8;
      if (i >= len)
        len = i + 1;
    }
  }
  head[0] = 110;
  head[1] = (unsigned char)len;
  head[2] = minus;
  couch_add(out, head, sizeof head);
  couch_add(out, bytes, len);
}

static void integer(couch_buf *out, const char *text) {
  int64_t n;
  unsigned char small[2] = {97, 0};
  if (strlen(text) > 15 || !couch_to_int(text, &n) || n < INT32_MIN ||
      n > INT32_MAX) {
    big(out, text);
  } else if (n >= 0 && n < 256) {
    small[1] = (unsigned char)n;
    couch_add(out, small, 2);
  } else {
    put32(out, 98, (uint32_t)(int32_t)n);
  }
}

static void real(couch_buf *out, const char *text) {
  double d = strtod(text, NULL);
  uint64_t bits;
  unsigned char b[9] = {70};
  memcpy(&bits, &d, sizeof bits);
  for (unsigned i = 0; i < 8; i++)
    b[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
  couch_add(out, b, sizeof b);
}

/* A list of bytes is a string to Erlang. */
static bool is_bytes(const couch_json *array) {
  int64_t n;
  if (array->count > 65535)
    return false;
  for (const couch_json *v = array->first; v != NULL; v = v->next)
    if (v->kind != COUCH_NUMBER || !v->is_integer || v->len > 3 ||
        !couch_to_int(v->text, &n) || n < 0 || n > 255)
      return false;
  return true;
}

static void bytes_list(couch_buf *out, const couch_json *array) {
  unsigned char head[3] = {107, (unsigned char)(array->count >> 8),
                           (unsigned char)array->count};
  couch_add(out, head, sizeof head);
  for (const couch_json *v = array->first; v != NULL; v = v->next) {
    int64_t n = 0;
    char byte;
    (void)couch_to_int(v->text, &n);
    byte = (char)n;
    couch_add(out, &byte, 1);
  }
}

static size_t members(const couch_json *v, bool top) {
  size_t n = 0;
  if (!top)
    return v->count;
  for (const couch_json *m = v->first; m != NULL; m = m->next)
    n += m->key[0] != '_';
  return n;
}

/* Begins a value; true when its children are to follow. */
static bool start(couch_buf *out, const couch_json *v, bool top) {
  switch (v->kind) {
  case COUCH_NULL:
    return atom(out, "null"), false;
  case COUCH_FALSE:
    return atom(out, "false"), false;
  case COUCH_TRUE:
    return atom(out, "true"), false;
  case COUCH_NUMBER:
    if (v->is_integer)
      integer(out, v->text);
    else
      real(out, v->text);
    return false;
  case COUCH_STRING:
    return binary(out, v->text, v->len), false;
  case COUCH_ARRAY:
    if (v->count > 0 && is_bytes(v))
      return bytes_list(out, v), false;
    break;
  case COUCH_OBJECT:
    couch_add(out, "h\1", 2);
    break;
  }
  if (members(v, top) == 0)
    return couch_add(out, "j", 1), false;
  put32(out, 108, (uint32_t)members(v, top));
  return true;
}

static const couch_json *skip(const couch_json *v, const couch_json *root) {
  while (v != NULL && v->parent == root && v->key != NULL && v->key[0] == '_')
    v = v->next;
  return v;
}

static bool child(couch_buf *out, const couch_json *v) {
  if (v->key != NULL) {
    couch_add(out, "h\2", 2);
    binary(out, v->key, v->key_len);
  }
  return start(out, v, false);
}

static void body(couch_buf *out, const couch_json *root) {
  const couch_json *v = root;
  bool inside = start(out, root, true);
  for (;;) {
    if (inside) {
      v = skip(v->first, root);
      inside = child(out, v);
      continue;
    }
    while (v != root && skip(v->next, root) == NULL) {
      v = v->parent;
      couch_add(out, "j", 1);
    }
    if (v == root)
      return;
    v = skip(v->next, root);
    inside = child(out, v);
  }
}

static int nibble(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits are 16 bytes, anything else is itself. */
static void parent_hash(couch_buf *out, const char *hash) {
  unsigned char raw[16];
  if (strlen(hash) != 32) {
    binary(out, hash, strlen(hash));
    return;
  }
  for (unsigned i = 0; i < 16; i++) {
    int high = nibble(hash[2 * i]), low = nibble(hash[2 * i + 1]);
    if (high < 0 || low < 0) {
      binary(out, hash, 32);
      return;
    }
    raw[i] = (unsigned char)(high * 16 + low);
  }
  binary(out, raw, sizeof raw);
}

void couch_rev_of_edit(couch_rev_name *out, const couch_rev_name *parent,
                       bool deleted, const couch_json *document) {
  couch_buf term = {0};
  unsigned char digest[16];
  char gen[24];
  (void)snprintf(gen, sizeof gen, "%u", parent->gen);
  couch_add(&term, "\x83", 1);
  put32(&term, 108, 5);
  atom(&term, deleted ? "true" : "false");
  integer(&term, gen);
  if (parent->gen == 0)
    couch_add(&term, "a\0", 2);
  else
    parent_hash(&term, parent->hash);
  body(&term, document);
  couch_add(&term, "jj", 2);
  couch_md5(term.data, term.len, digest);
  couch_buf_free(&term);
  out->gen = parent->gen + 1;
  couch_hex(digest, sizeof digest, out->hash);
}
