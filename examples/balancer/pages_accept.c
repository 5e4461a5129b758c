/* Which form of a page a client wants; see pages_form.h. Accept is a list of
   media ranges with weights (RFC 9110, 12.5.1); parameters besides q are read
   over. */
#include "balancer/pages_form.h"

#include "common/http_head_int.h"
#include <string.h>

enum { FORMS = 3, NOT_SAID = -1, WEIGHT_MOST = 1000 };

/* The weight of each form, in thousandths, and how exactly it was named: 0 by
   nothing, 1 by a star for all, 2 by its kind, 3 by its name. */
typedef struct wishes {
  int weight[FORMS], exact[FORMS];
} wishes;

typedef struct scan {
  const char *p, *end;
} scan;

static void skip_blank(scan *s) {
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
    s->p++;
}

static bool take(scan *s, char c) {
  if (s->p == s->end || *s->p != c)
    return false;
  s->p++;
  return true;
}

static http_str token(scan *s) {
  const char *from = s->p;

  while (s->p < s->end && http_class(*s->p, HTTP_CLASS_TOKEN))
    s->p++;
  return http_str_of(from, (size_t)(s->p - from));
}

/* A string in quotes, without them; escapes stay in it. */
static bool quoted(scan *s, http_str *value) {
  const char *from;

  if (!take(s, '"'))
    return false;
  from = s->p;
  while (s->p < s->end && *s->p != '"') {
    if (*s->p == '\\' && s->end - s->p > 1)
      s->p++;
    s->p++;
  }
  *value = http_str_of(from, (size_t)(s->p - from));
  return take(s, '"');
}

/* Up to the comma that ends this range, strings passed over. */
static void skip_range(scan *s) {
  http_str ignored;

  while (s->p < s->end && *s->p != ',')
    if (!quoted(s, &ignored) && s->p < s->end)
      s->p++;
}

/* "0.8" as 800: one digit, a dot, three digits at most, and no more than 1. */
static bool read_weight(http_str value, int *weight) {
  int scale = 100;

  if (value.len == 0 || value.len > 5 ||
      (value.data[0] != '0' && value.data[0] != '1') ||
      (value.len > 1 && value.data[1] != '.'))
    return false;
  *weight = (value.data[0] - '0') * WEIGHT_MOST;
  for (size_t i = 2; i < value.len; i++, scale /= 10) {
    if (value.data[i] < '0' || value.data[i] > '9')
      return false;
    *weight += (value.data[i] - '0') * scale;
  }
  return *weight <= WEIGHT_MOST;
}

/* ;NAME=VALUE of a range, as many as there are. */
static bool read_parameters(scan *s, int *weight) {
  http_str name, value;

  for (;;) {
    skip_blank(s);
    if (!take(s, ';'))
      return true;
    skip_blank(s);
    name = token(s);
    if (name.len == 0) /* ";" alone is no parameter, and does no harm */
      continue;
    if (!take(s, '='))
      return false;
    if (s->p < s->end && *s->p == '"') {
      if (!quoted(s, &value))
        return false;
    } else {
      value = token(s);
    }
    if (http_str_is(name, "q") && !read_weight(value, weight))
      return false;
  }
}

static void wish(wishes *w, enum page_form form, int exact, int weight) {
  if (exact < w->exact[form] ||
      (exact == w->exact[form] && weight <= w->weight[form]))
    return;
  w->exact[form] = exact;
  w->weight[form] = weight;
}

static bool ends_in_json(http_str subtype) {
  return subtype.len > 5 &&
         http_str_is(http_str_of(subtype.data + subtype.len - 5, 5), "+json");
}

static void count_range(wishes *w, http_str type, http_str subtype,
                        int weight) {
  bool any = http_str_same(subtype, "*");

  if (http_str_same(type, "*")) {
    if (any)
      wish(w, PAGE_FORM_TEXT, 1, weight);
  } else if (http_str_is(type, "text")) {
    if (any)
      wish(w, PAGE_FORM_TEXT, 2, weight);
    else if (http_str_is(subtype, "plain"))
      wish(w, PAGE_FORM_TEXT, 3, weight);
    else if (http_str_is(subtype, "html"))
      wish(w, PAGE_FORM_HTML, 3, weight);
  } else if (http_str_is(type, "application")) {
    if (any)
      wish(w, PAGE_FORM_JSON, 2, weight);
    else if (http_str_is(subtype, "json") || ends_in_json(subtype))
      wish(w, PAGE_FORM_JSON, 3, weight);
  }
}

static void read_range(scan *s, wishes *w) {
  int weight = WEIGHT_MOST;
  http_str type, subtype;
  bool good;

  skip_blank(s);
  type = token(s);
  good = take(s, '/');
  subtype = good ? token(s) : type;
  good =
      good && type.len != 0 && subtype.len != 0 && read_parameters(s, &weight);
  skip_blank(s);
  if (good && (s->p == s->end || *s->p == ','))
    count_range(w, type, subtype, weight);
}

enum page_form page_form_of(http_str accept) {
  /* Between equals the first of these is taken. */
  static const enum page_form order[FORMS] = {PAGE_FORM_HTML, PAGE_FORM_JSON,
                                              PAGE_FORM_TEXT};
  wishes w = {{NOT_SAID, NOT_SAID, NOT_SAID}, {0, 0, 0}};
  scan s = {accept.data, accept.data + accept.len};
  enum page_form best = PAGE_FORM_TEXT;

  if (accept.len == 0)
    return PAGE_FORM_TEXT;
  while (s.p < s.end) {
    read_range(&s, &w);
    skip_range(&s);
    (void)take(&s, ',');
  }
  for (size_t i = FORMS; i-- > 0;)
    if (w.weight[order[i]] > 0 && w.weight[order[i]] >= w.weight[best])
      best = order[i];
  return best;
}
