/* Pages as HAProxy's configuration has them: each a line with the whole answer,
   made of pages.h's. See haproxy_state.h. */
#include "balancer/haproxy_state.h"

#include <inttypes.h>
#include <string.h>

/* Stands in a page where the request's id is to be. */
#define ID_MARK "HAPROXY-REQUEST-ID"
#define ID "%[var(txn.id)]"

void haproxy_quote(text *out, const char *s) {
  text_str(out, "'");
  for (; *s != '\0'; s++) {
    if (*s == '\'')
      text_str(out, "'\\''");
    else if (*s == '\n')
      text_str(out, "'\\n'");
    else
      text_add(out, s, 1);
  }
  text_str(out, "'");
}

/* As a log format has it, that is read once the word is unquoted. */
static void add_format(text *out, const char *s, size_t len) {
  for (size_t i = 0; i < len; i++)
    text_add(out, s[i] == '%' ? "%%" : s + i, s[i] == '%' ? 2 : 1);
}

/* As an argument of a converter has it. */
static void add_argument(text *out, const char *s, size_t len) {
  text_str(out, "'");
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '\'')
      text_str(out, "'\"'\"'");
    else
      text_add(out, s + i, 1);
  }
  text_str(out, "'");
}

static void make(page_answer *a, const char *accept, enum page page,
                 int status) {
  page_make(a, page, status, (http_str){accept, strlen(accept)}, ID_MARK, NULL);
}

static const char *field_of(const page_answer *a, const char *name) {
  for (size_t i = 0; i < a->field_count; i++)
    if (http_str_is(a->fields[i].name, name))
      return a->fields[i].value.data;
  return "";
}

/* A format that says s with the id in it. */
static void format_of(text *out, const char *s) {
  for (;;) {
    const char *mark = strstr(s, ID_MARK);

    add_format(out, s, mark != NULL ? (size_t)(mark - s) : strlen(s));
    if (mark == NULL)
      return;
    text_str(out, ID);
    s = mark + sizeof ID_MARK - 1;
  }
}

static void quote_format(text *out, const char *s) {
  text format = TEXT_INIT;

  format_of(&format, s);
  haproxy_quote(out, text_get(&format));
  out->failed = out->failed || format.failed;
  text_free(&format);
}

static bool is_special(const http_field *field, const char *const *special) {
  for (; *special != NULL; special++)
    if (http_str_is(field->name, *special))
      return true;
  return false;
}

static void write_fields(text *out, const page_answer *a,
                         const char *const *special) {
  for (size_t i = 0; i < a->field_count; i++) {
    if (is_special(&a->fields[i], special))
      continue;
    text_printf(out, " hdr %s ", a->fields[i].name.data);
    quote_format(out, a->fields[i].value.data);
  }
}

static void write_page(text *out, const page_answer *a) {
  static const char *const special[] = {"Content-Type", NULL};

  text_str(out, " content-type ");
  haproxy_quote(out, field_of(a, "Content-Type"));
  write_fields(out, a, special);
  text_str(out, " lf-string ");
  quote_format(out, text_get(&a->body));
}

void haproxy_page_return(text *out, const char *rule, const char *accept,
                         enum page page, int status, const char *condition) {
  page_answer a;

  make(&a, accept, page, status);
  text_printf(out, "  %s return status %d", rule, a.status);
  write_page(out, &a);
  text_printf(out, "%s%s\n", condition[0] != '\0' ? " " : "", condition);
  page_free(&a);
}

void haproxy_page_error(text *out, const char *accept, enum page page,
                        int status) {
  page_answer a;

  make(&a, accept, page, status);
  text_printf(out, "  http-error status %d", a.status);
  write_page(out, &a);
  text_str(out, "\n");
  page_free(&a);
}

/* ---- one page or another ---- */

static void write_choice(text *out, int64_t connect_ms, http_str late,
                         http_str soon) {
  if (late.len == 0 && soon.len == 0)
    return;
  text_printf(out, "%%[date(0,ms),sub(txn.at),div(%" PRId64 "),bool,iif(",
              connect_ms - connect_ms / 10);
  add_argument(out, late.data, late.len);
  text_str(out, ",");
  add_argument(out, soon.data, soon.len);
  text_str(out, ")]");
}

/* What is before the next end (or all), which is passed over. */
static http_str cut(const char **s, const char *end) {
  const char *at = strstr(*s, end);
  http_str piece = {*s, at != NULL ? (size_t)(at - *s) : strlen(*s)};

  *s += piece.len + (at != NULL ? strlen(end) : 0);
  return piece;
}

/* Up to the end of the line, which is not the same in both. */
static void choose_line(text *out, int64_t connect_ms, http_str late,
                        http_str soon) {
  char lines[2][1024];
  const char *at[2] = {lines[0], lines[1]};
  bool has_id;

  if (late.len >= sizeof lines[0] || soon.len >= sizeof lines[1]) {
    out->failed = true;
    return;
  }
  memcpy(lines[0], late.data, late.len);
  lines[0][late.len] = '\0';
  memcpy(lines[1], soon.data, soon.len);
  lines[1][soon.len] = '\0';
  has_id =
      strstr(lines[0], ID_MARK) != NULL && strstr(lines[1], ID_MARK) != NULL;
  if (has_id) {
    write_choice(out, connect_ms, cut(&at[0], ID_MARK), cut(&at[1], ID_MARK));
    text_str(out, ID);
  }
  write_choice(out, connect_ms, (http_str){at[0], strlen(at[0])},
               (http_str){at[1], strlen(at[1])});
}

/* Line by line: HAProxy would write a line's end out of a choice as %0A. */
static void quote_choice(text *out, int64_t connect_ms, const char *late,
                         const char *soon) {
  text format = TEXT_INIT;

  while (*late != '\0' || *soon != '\0') {
    bool ends = strchr(late, '\n') != NULL || strchr(soon, '\n') != NULL;
    http_str a = cut(&late, "\n"), b = cut(&soon, "\n");

    if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0) {
      text line = TEXT_INIT;

      text_add(&line, a.data, a.len);
      format_of(&format, text_get(&line));
      text_free(&line);
    } else {
      choose_line(&format, connect_ms, a, b);
    }
    if (ends)
      text_str(&format, "\n");
  }
  haproxy_quote(out, text_get(&format));
  out->failed = out->failed || format.failed;
  text_free(&format);
}

void haproxy_page_failed(text *out, const char *accept, int64_t connect_ms) {
  static const char *const chosen[] = {"X-Balancer-Error", "Retry-After", NULL};
  static const char *const special[] = {"Content-Type", "X-Balancer-Error",
                                        "Retry-After", NULL};
  page_answer late, soon;

  make(&late, accept, PAGE_UNREACHABLE, 0);
  make(&soon, accept, PAGE_REFUSED, 0);
  text_str(out, "  http-error status 503 content-type ");
  haproxy_quote(out, field_of(&soon, "Content-Type"));
  write_fields(out, &soon, special);
  for (size_t i = 0; chosen[i] != NULL; i++) {
    text_printf(out, " hdr %s ", chosen[i]);
    quote_choice(out, connect_ms, field_of(&late, chosen[i]),
                 field_of(&soon, chosen[i]));
  }
  text_str(out, " lf-string ");
  quote_choice(out, connect_ms, text_get(&late.body), text_get(&soon.body));
  /* HAProxy's status is the same for both; the fields tell. */
  text_printf(out,
              "\n  http-after-response set-status %d if { status 503 } "
              "{ res.hdr(X-Balancer-Error) %s }\n",
              late.status, late.code);
  text_printf(out,
              "  http-after-response set-status %d if { status 503 } "
              "{ res.hdr(X-Balancer-Error) %s }\n",
              soon.status, soon.code);
  page_free(&late);
  page_free(&soon);
}
