/* Answers of the admin face: never kept by anybody on the way, and taken for
   what they are. */
#include "balancer/admin_state.h"

#include "common/escape.h"
#include <stdarg.h>
#include <string.h>

static http_field field(const char *name, const char *value) {
  return (http_field){{name, strlen(name)}, {value, strlen(value)}};
}

void admin_answer(http_exchange *x, int status, const char *type,
                  const text *body) {
  http_field fields[5];
  size_t count = 0;

  if (body->failed) {
    http_exchange_abort(x); /* half of it would be worse */
    return;
  }
  fields[count++] = field("Content-Type", type);
  fields[count++] = field("Cache-Control", "no-store");
  fields[count++] = field("X-Content-Type-Options", "nosniff");
  if (status == 503)
    fields[count++] = field("Retry-After", "1");
  http_exchange_answer(x, status, fields, count, text_get(body), body->len);
}

void admin_answer_json(http_exchange *x, int status, const text *body) {
  admin_answer(x, status, "application/json", body);
}

void admin_answer_error(http_exchange *x, int status, const char *format, ...) {
  text sentence = TEXT_INIT, body = TEXT_INIT;
  va_list args;

  va_start(args, format);
  text_vprintf(&sentence, format, args);
  va_end(args);
  text_str(&body, "{\"error\":");
  escape_json(&body, text_get(&sentence));
  text_str(&body, "}\n");
  admin_answer_json(x, status, &body);
  text_free(&body);
  text_free(&sentence);
}
