/*
 * The reader; json_write.c has the other direction.
 */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
  couch_pool *pool;
  const char *p, *end;
} reader;

static void blanks(reader *r) {
  while (r->p < r->end &&
         (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
    r->p++;
}

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static size_t utf8(const char *p, const char *end) {
  unsigned char c = (unsigned char)*p, d;
  size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  if (n == 0 || c > 0xf4 || (size_t)(end - p) < n)
    return 0;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)p[i] & 0xc0) != 0x80)
      return 0;
  if (n == 1)
    return 1;
  d = (unsigned char)p[1];
  if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) ||
      (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
    return 0;
  return n;
}

static bool hex4(reader *r, uint32_t *out) {
  uint32_t n = 0;
  if (r->end - r->p < 4)
    return false;
  for (int i = 0; i < 4; i++) {
    char c = *r->p++;
    n <<= 4;
    if (c >= '0' && c <= '9')
      n |= (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      n |= (uint32_t)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      n |= (uint32_t)(c - 'A' + 10);
    else
      return false;
  }
  *out = n;
  return true;
}

static char *put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
    return out;
  }
  if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      *out++ = (char)(0xe0 | c >> 12);
    } else {
      *out++ = (char)(0xf0 | c >> 18);
      *out++ = (char)(0x80 | (c >> 12 & 63));
    }
    *out++ = (char)(0x80 | (c >> 6 & 63));
  }
  *out++ = (char)(0x80 | (c & 63));
  return out;
}

static bool escape(reader *r, char **out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  const char *at;
  uint32_t c, low;
  if (r->p >= r->end)
    return false;
  if (*r->p != 'u') {
    at = *r->p != '\0' ? strchr(from, *r->p) : NULL;
    if (at == NULL)
      return false;
    r->p++;
    *(*out)++ = to[at - from];
    return true;
  }
  r->p++;
  if (!hex4(r, &c))
    return false;
  if (c >= 0xd800 && c < 0xdc00) {
    if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
      return false;
    r->p += 2;
    if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
      return false;
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  } else if (c >= 0xdc00 && c < 0xe000) {
    return false;
  }
  *out = put_utf8(*out, c);
  return true;
}

static bool string(reader *r, const char **text, size_t *len) {
  const char *close;
  char *start, *out;
  if (r->p >= r->end || *r->p != '"')
    return false;
  r->p++;
  /* No string is longer than its source. */
  for (close = r->p; close < r->end && *close != '"'; close++)
    if (*close == '\\' && close + 1 < r->end)
      close++;
  if (close >= r->end)
    return false;
  start = out = couch_pool_alloc(r->pool, (size_t)(close - r->p) + 1);
  while (r->p < close) {
    size_t n;
    if ((unsigned char)*r->p < 0x20)
      return false;
    if (*r->p == '\\') {
      r->p++;
      if (!escape(r, &out))
        return false;
      continue;
    }
    n = utf8(r->p, close);
    if (n == 0)
      return false;
    memcpy(out, r->p, n);
    out += n;
    r->p += n;
  }
  r->p++;
  *out = '\0';
  *text = start;
  *len = (size_t)(out - start);
  return true;
}

static bool digits(reader *r) {
  const char *start = r->p;
  while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
    r->p++;
  return r->p > start;
}

/* The shortest digits that read back as the same number, laid out as
   double-conversion does for jiffy. */
static void shortest(double d, char *out, size_t size) {
  char digits_text[40];
  int exponent, n;
  const char *e;
  for (int precision = 0; precision < 18; precision++) {
    (void)snprintf(digits_text, sizeof digits_text, "%.*e", precision, d);
    if (strtod(digits_text, NULL) == d)
      break;
  }
  e = strchr(digits_text, 'e');
  if (e == NULL) {
    (void)snprintf(out, size, "0.0");
    return;
  }
  exponent = atoi(e + 1);
  if (exponent >= -6 && exponent < 21) {
    n = (int)(e - digits_text) - (digits_text[0] == '-') - 2;
    n = (n > 0 ? n : 0) - exponent;
    (void)snprintf(out, size, "%.*f", n > 1 ? n : 1, d);
  } else {
    (void)snprintf(out, size, "%.*se%s%d", (int)(e - digits_text), digits_text,
                   exponent > 0 ? "+" : "", exponent);
  }
}

static bool number(reader *r, couch_json *v) {
  const char *start = r->p;
  char *copy, *text;
  v->kind = COUCH_NUMBER;
  v->is_integer = true;
  if (r->p < r->end && *r->p == '-')
    r->p++;
  if (r->p < r->end && *r->p == '0')
    r->p++;
  else if (!digits(r))
    return false;
  if (r->p < r->end && *r->p == '.') {
    v->is_integer = false;
    r->p++;
    if (!digits(r))
      return false;
  }
  if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
    v->is_integer = false;
    r->p++;
    if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
      r->p++;
    if (!digits(r))
      return false;
  }
  copy = couch_pool_alloc(r->pool, (size_t)(r->p - start) + 1);
  memcpy(copy, start, (size_t)(r->p - start));
  if (!v->is_integer) {
    double d = strtod(copy, NULL);
    if (d > 1.7976931348623157e308 || d < -1.7976931348623157e308)
      return false;
    text = couch_pool_alloc(r->pool, 48);
    shortest(d, text, 48);
    copy = text;
  }
  v->text = strcmp(copy, "-0") == 0 ? "0" : copy;
  v->len = strlen(v->text);
  return true;
}

static bool word(reader *r, const char *text) {
  size_t len = strlen(text);
  if ((size_t)(r->end - r->p) < len || memcmp(r->p, text, len) != 0)
    return false;
  r->p += len;
  return true;
}

/* One value's beginning: a container is left open. */
static bool value(reader *r, couch_json *v) {
  char c = r->p < r->end ? *r->p : '\0';
  if (c == '{' || c == '[') {
    r->p++;
    v->kind = c == '{' ? COUCH_OBJECT : COUCH_ARRAY;
    return true;
  }
  if (c == '"') {
    v->kind = COUCH_STRING;
    return string(r, &v->text, &v->len);
  }
  if (c == 't')
    return v->kind = COUCH_TRUE, word(r, "true");
  if (c == 'f')
    return v->kind = COUCH_FALSE, word(r, "false");
  if (c == 'n')
    return v->kind = COUCH_NULL, word(r, "null");
  return number(r, v);
}

static couch_json *append(reader *r, couch_json *parent) {
  couch_json *v = couch_pool_alloc(r->pool, sizeof *v);
  v->parent = parent;
  if (parent->last != NULL)
    parent->last->next = v;
  else
    parent->first = v;
  parent->last = v;
  parent->count++;
  return v;
}

/* Inside an open container: its next value or its end. */
static bool step(reader *r, couch_json **open, unsigned *depth) {
  couch_json *at = *open, *v;
  char close = at->kind == COUCH_OBJECT ? '}' : ']';
  blanks(r);
  if (r->p < r->end && *r->p == close) {
    r->p++;
    *open = at->parent;
    (*depth)--;
    return true;
  }
  if (at->first != NULL) {
    if (r->p >= r->end || *r->p != ',')
      return false;
    r->p++;
    blanks(r);
  }
  v = append(r, at);
  if (at->kind == COUCH_OBJECT) {
    if (!string(r, &v->key, &v->key_len))
      return false;
    blanks(r);
    if (r->p >= r->end || *r->p != ':')
      return false;
    r->p++;
    blanks(r);
  }
  if (!value(r, v))
    return false;
  if (v->kind >= COUCH_ARRAY) {
    *open = v;
    return ++*depth <= COUCH_JSON_DEPTH;
  }
  return true;
}

couch_json *couch_json_parse(couch_pool *pool, const char *text, size_t len) {
  reader r = {pool, text, text + len};
  couch_json *root = couch_pool_alloc(pool, sizeof *root), *open;
  unsigned depth = 1;
  blanks(&r);
  if (!value(&r, root))
    return NULL;
  open = root->kind >= COUCH_ARRAY ? root : NULL;
  while (open != NULL)
    if (!step(&r, &open, &depth))
      return NULL;
  blanks(&r);
  return r.p == r.end ? root : NULL;
}
