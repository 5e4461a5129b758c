/*
 * Filters; a function is not run but recognised.
 */
#include "filter.h"

#include <string.h>

void couch_filter_free(couch_filter *filter) {
  couch_pool_free(&filter->pool);
  *filter = (couch_filter){0};
}

static const couch_json *read_body(couch_pool *pool, const couch_doc *doc) {
  const couch_rev *rev = couch_doc_winner(doc);
  couch_buf text = {0};
  const couch_json *v;
  couch_add_text(&text, "{\"_id\":");
  couch_add_json_text(&text, doc->id);
  couch_addf(&text, ",\"_rev\":\"%u-%s\"", rev->gen, rev->hash);
  if (rev->deleted)
    couch_add_text(&text, ",\"_deleted\":true");
  if (rev->body != NULL && rev->body->len > 0) {
    couch_add(&text, ",", 1);
    couch_add(&text, rev->body->text, rev->body->len);
  }
  couch_add(&text, "}", 1);
  v = couch_json_parse(pool, text.data, text.len);
  couch_buf_free(&text);
  return v;
}

static bool is_truthy(const couch_json *v) {
  if (v == NULL || v->kind == COUCH_NULL || v->kind == COUCH_FALSE)
    return false;
  if (v->kind == COUCH_NUMBER)
    return couch_json_number(v) < 0 || couch_json_number(v) > 0;
  return v->kind != COUCH_STRING || v->len > 0;
}

static bool function_shows(const couch_filter *f, const couch_json *document) {
  const couch_json *v;
  int64_t n;
  if (f->everything)
    return true;
  v = couch_json_get(document, f->field);
  if (f->truthy)
    return is_truthy(v);
  if (v == NULL || f->wanted == NULL)
    return false;
  if (f->modulus > 0)
    return v->kind == COUCH_NUMBER && couch_to_int(v->text, &n) &&
           f->wanted->kind == COUCH_NUMBER &&
           (double)(n % f->modulus) == couch_json_number(f->wanted);
  return couch_json_compare(v, f->wanted) == 0;
}

bool couch_filter_shows(const couch_filter *filter, const couch_doc *doc) {
  couch_pool pool = {0};
  const couch_json *document;
  bool shows;
  switch (filter->kind) {
  case COUCH_UNFILTERED:
    return true;
  case COUCH_BY_IDS:
    for (const couch_json *v = filter->ids->first; v != NULL; v = v->next)
      if (strcmp(v->text, doc->id) == 0)
        return true;
    return false;
  case COUCH_BY_DESIGN:
    return couch_starts(doc->id, "_design/");
  case COUCH_BY_SELECTOR:
  case COUCH_BY_FUNCTION:
    break;
  }
  document = read_body(&pool, doc);
  shows = document != NULL &&
          (filter->kind == COUCH_BY_SELECTOR
               ? couch_selector_matches(filter->selector, document)
               : function_shows(filter, document));
  couch_pool_free(&pool);
  return shows;
}

static const char *after_name(const char *p) {
  while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
         (*p >= '0' && *p <= '9') || *p == '_')
    p++;
  return p;
}

static char *take(couch_filter *f, const char *from, const char *to) {
  char *text = couch_pool_alloc(&f->pool, (size_t)(to - from) + 1);
  memcpy(text, from, (size_t)(to - from));
  return text;
}

/* The right side of ==: a literal or req.query.NAME. */
static bool right_side(couch_filter *f, const char *p,
                       const char *(*query)(const void *user, const char *name),
                       const void *user) {
  couch_buf json = {0};
  if (couch_starts(p, "req.query.")) {
    const char *name = take(f, p + 10, after_name(p + 10));
    const char *value = query(user, name);
    if (value == NULL)
      return true;
    couch_add_json_text(&json, value);
  } else if (*p == '"' || *p == '\'') {
    const char *end = strchr(p + 1, *p);
    if (end == NULL)
      return false;
    couch_add_json_string(&json, p + 1, (size_t)(end - p - 1));
  } else {
    couch_add(&json, p, (size_t)(after_name(p) - p));
  }
  f->wanted = couch_json_parse(&f->pool, couch_buf_text(&json), json.len);
  couch_buf_free(&json);
  return f->wanted != NULL;
}

bool couch_filter_function(couch_filter *filter, const char *source,
                           const char *(*query)(const void *user,
                                                const char *name),
                           const void *user) {
  couch_buf packed = {0};
  const char *p, *end;
  bool known = true;
  for (p = source; *p != '\0'; p++)
    if (strchr(" \t\r\n", *p) == NULL)
      couch_add(&packed, p, 1);
  filter->kind = COUCH_BY_FUNCTION;
  p = strstr(couch_buf_text(&packed), "{return");
  if (p != NULL)
    p += 7;
  else if ((p = strstr(couch_buf_text(&packed), "if(")) != NULL)
    p += 3;
  if (p != NULL && couch_starts(p, "doc.")) {
    end = after_name(p + 4);
    filter->field = take(filter, p + 4, end);
    if (*end == '%') {
      while (*++end >= '0' && *end <= '9' && filter->modulus < 1000000)
        filter->modulus = filter->modulus * 10 + (*end - '0');
    }
    if (couch_starts(end, "=="))
      known = right_side(filter, end + (end[2] == '=' ? 3 : 2), query, user);
    else if (*end == ';' || *end == '}' || *end == ')')
      filter->truthy = true;
    else
      known = false;
  } else if (p != NULL && (couch_starts(p, "true") || *p == '1' || *p == '"')) {
    filter->everything = true;
  } else {
    known = false;
  }
  couch_buf_free(&packed);
  return known;
}
