/* What a proxy says anew on each side: fields of one connection only are
   dropped, the rules' are set, and the framing is its own. */
#include "common/http_head_int.h"
#include "common/http_proxy_state.h"

#include <string.h>

/* As programs see names that turn them into variables: without case, and "_" is
   "-". What is to be set or dropped cannot come in under its other spelling. */
static bool same_letters(const char *a, const char *b, size_t len) {
  size_t i;

  for (i = 0; i < len; i++) {
    unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

    if (x >= 'A' && x <= 'Z')
      x = (unsigned char)(x + 'a' - 'A');
    if (y >= 'A' && y <= 'Z')
      y = (unsigned char)(y + 'a' - 'A');
    if ((x == '_' ? '-' : x) != (y == '_' ? '-' : y))
      return false;
  }
  return true;
}

static inline bool same_name(http_str a, http_str b) {
  return a.len == b.len && same_letters(a.data, b.data, a.len);
}

static inline bool is_set(const http_field *fields, size_t count,
                          http_str name) {
  size_t i;

  for (i = 0; i < count; i++)
    if (same_name(fields[i].name, name))
      return true;
  return false;
}

static inline bool is_set_text(const http_proxy_rules *rules,
                               const char *name) {
  http_str s = {name, strlen(name)};

  return is_set(rules->request, rules->request_count, s);
}

static bool has_prefix(http_str name, const char *prefix, size_t len) {
  return len != 0 && name.len >= len && same_letters(name.data, prefix, len);
}

/* ---- the request ---- */

/* Said anew by put_host, put_forwarding and at the end of pass_write_head. */
static bool is_ours(http_str name, bool forwarded) {
  switch (name.len) {
  case 4:
    return http_str_is(name, "host");
  case 6:
    return http_str_is(name, "expect");
  case 15:
    return forwarded && same_letters(name.data, "x-forwarded-for", 15);
  case 16:
    return forwarded && same_letters(name.data, "x-forwarded-host", 16);
  case 17:
    return forwarded && same_letters(name.data, "x-forwarded-proto", 17);
  default:
    return false;
  }
}

static void put_client_fields(http_pass *p, const http_head *head,
                              const http_proxy_rules *rules) {
  const char *prefix = rules->drop_prefix != NULL ? rules->drop_prefix : "";
  size_t prefix_len = strlen(prefix), i;

  for (i = 0; i < head->count; i++) {
    const http_field *field = &head->fields[i];

    if (is_ours(field->name, rules->forwarded) ||
        has_prefix(field->name, prefix, prefix_len) ||
        is_set(rules->request, rules->request_count, field->name) ||
        http_head_is_hop(head, field))
      continue;
    http_put_line(&p->head, field->name, field->value);
  }
}

/* The list grows at its end by whom the request came from. */
static void put_forwarded_for(http_pass *p, const http_head *head) {
  const char *peer = http_exchange_peer(p->x);
  size_t i;

  text_str(&p->head, "X-Forwarded-For: ");
  for (i = 0; i < head->count; i++) {
    const http_field *field = &head->fields[i];

    if (field->name.len != 15 || field->value.len == 0 ||
        !http_str_is(field->name, "x-forwarded-for"))
      continue;
    text_add(&p->head, field->value.data, field->value.len);
    text_str(&p->head, ", ");
  }
  text_str(&p->head, peer != NULL && peer[0] != '\0' ? peer : "unknown");
  text_str(&p->head, "\r\n");
}

static void put_id(http_pass *p) {
  static const char hex[] = "0123456789abcdef";
  uint64_t n = ++p->pool->requests;
  char digits[16];
  size_t at = sizeof digits;

  do
    digits[--at] = hex[n & 15];
  while ((n >>= 4) != 0);
  text_str(&p->head, "X-Request-Id: ");
  text_str(&p->head, p->pool->id);
  text_str(&p->head, "-");
  text_add(&p->head, digits + at, sizeof digits - at);
  text_str(&p->head, "\r\n");
}

static void put_forwarding(http_pass *p, const http_head *head,
                           const http_proxy_rules *rules) {
  static const char id[] = "x-request-id";
  const http_field *known = http_head_find(head, id);

  if (!is_set_text(rules, "x-forwarded-for"))
    put_forwarded_for(p, head);
  if (!is_set_text(rules, "x-forwarded-proto"))
    text_str(&p->head, "X-Forwarded-Proto: http\r\n");
  if (!is_set_text(rules, "x-forwarded-host") && head->host_field.len != 0) {
    text_str(&p->head, "X-Forwarded-Host: ");
    text_add(&p->head, head->host_field.data, head->host_field.len);
    text_str(&p->head, "\r\n");
  }
  if (rules->via != NULL) {
    text_str(&p->head, head->minor != 0 ? "Via: 1.1 " : "Via: 1.0 ");
    text_str(&p->head, rules->via);
    text_str(&p->head, "\r\n");
  }
  if (!is_set_text(rules, id) &&
      (known == NULL || http_head_is_hop(head, known)))
    put_id(p);
}

static void put_host(http_pass *p, const http_head *head,
                     const http_proxy_target *target) {
  text_str(&p->head, "Host: ");
  if (head->host_field.len != 0)
    text_add(&p->head, head->host_field.data, head->host_field.len);
  else if (strncmp(target->address, "unix:", 5) == 0)
    text_str(&p->head, "localhost");
  else
    text_str(&p->head, target->address);
  text_str(&p->head, "\r\n");
}

/* RFC 9110, 9.2.2. */
static bool may_repeat(http_str method) {
  static const char *const methods[] = {"GET",    "HEAD",    "PUT",
                                        "DELETE", "OPTIONS", "TRACE"};
  size_t i;

  for (i = 0; i < sizeof methods / sizeof *methods; i++)
    if (http_str_same(method, methods[i]))
      return true;
  return false;
}

static void note_request(http_pass *p, const http_head *head) {
  p->is_head = http_str_same(head->method, "HEAD");
  p->repeatable = may_repeat(head->method);
  p->has_body = head->framing == HTTP_CHUNKED ||
                (head->framing == HTTP_LENGTH && head->length != 0);
  p->chunked = head->framing == HTTP_CHUNKED;
  p->expecting = p->has_body && head->expects;
  p->upgrades = !p->has_body && http_str_same(head->method, "GET") &&
                http_str_is(head->upgrade, "websocket");
}

bool pass_write_head(http_pass *p, const http_head *head,
                     const http_proxy_target *target,
                     const http_proxy_rules *rules) {
  size_t i;

  note_request(p, head);
  if (!http_put_request(&p->head, head->method, head->target))
    return false;
  if (!is_set_text(rules, "host"))
    put_host(p, head, target);
  put_client_fields(p, head, rules);
  for (i = 0; i < rules->request_count; i++)
    if (!http_put_copy(&p->head, &rules->request[i]))
      return false;
  if (rules->forwarded)
    put_forwarding(p, head, rules);
  if (p->upgrades)
    text_str(&p->head, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
  if (p->expecting)
    text_str(&p->head, "Expect: 100-continue\r\n");
  http_put_framing(&p->head, head->framing, head->length);
  http_put_end(&p->head);
  return !p->head.failed;
}

/* ---- the answer ---- */

size_t pass_answer_fields(const http_pass *p, const http_head *head,
                          http_field *fields) {
  const http_proxy_rules *rules = &p->rules;
  const char *prefix = rules->drop_prefix != NULL ? rules->drop_prefix : "";
  size_t prefix_len = strlen(prefix), count = 0, i;

  for (i = 0; i < head->count; i++) {
    const http_field *field = &head->fields[i];

    if (has_prefix(field->name, prefix, prefix_len) ||
        is_set(rules->response, rules->response_count, field->name) ||
        http_head_is_hop(head, field))
      continue;
    fields[count++] = *field;
  }
  for (i = 0; i < rules->response_count; i++)
    if (rules->response[i].value.data != NULL)
      fields[count++] = rules->response[i];
  return count;
}
