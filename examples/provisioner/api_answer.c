/* Answers of the API: JSON, never kept by anybody on the way, and where there
   is nothing to be had, a sentence, a code and when to come again. */
#include "provisioner/api_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static http_str str(const char *s) {
  http_str out = {s, strlen(s)};

  return out;
}

static void send_bytes(call *c, int status, const char *type, const char *data,
                       size_t len, int64_t retry_ms) {
  http_exchange *x = c->x;
  http_field fields[4];
  char seconds[24];
  size_t count = 0;

  if (x == NULL) {
    call_free(c);
    return;
  }
  fields[count++] = (http_field){str("Content-Type"), str(type)};
  fields[count++] = (http_field){str("Cache-Control"), str("no-store")};
  if (retry_ms > 0) {
    (void)snprintf(seconds, sizeof seconds, "%" PRId64,
                   (retry_ms + 999) / 1000);
    fields[count++] = (http_field){str("Retry-After"), str(seconds)};
  }
  if (status == 401)
    fields[count++] = (http_field){str("WWW-Authenticate"), str("Bearer")};
  c->x = NULL;
  metric_time(c->api->m.times,
              (int64_t)uv_now(c->api->loop) - http_exchange_began_ms(x));
  metric_add(c->api->m.codes[status / 100 < CODES ? status / 100 : 0], 1);
  http_exchange_answer(x, status, fields, count, data, len);
  call_free(c);
}

void answer(call *c, int status, json_t *body, int64_t retry_ms) {
  static const char nothing[] =
      "{\"error\":\"there is no memory for the answer\",\"code\":\"memory\"}";
  char *out = body != NULL
                  ? json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER)
                  : NULL;

  json_decref(body);
  if (out == NULL)
    send_bytes(c, 503, "application/json", nothing, sizeof nothing - 1, 1000);
  else
    send_bytes(c, status, "application/json", out, strlen(out), retry_ms);
  free(out);
}

/* What callers sent may have been cut within a letter: that is no JSON. */
static void clean(char *sentence) {
  json_t *tried = json_string(sentence);

  json_decref(tried);
  for (; tried == NULL && *sentence != '\0'; sentence++)
    if ((unsigned char)*sentence >= 0x80)
      *sentence = '?';
}

void answer_error(call *c, int status, const char *code, int64_t retry_ms,
                  const char *format, ...) {
  text sentence = TEXT_INIT;
  va_list args;
  json_t *body;

  va_start(args, format);
  text_vprintf(&sentence, format, args);
  va_end(args);
  if (sentence.data != NULL)
    clean(sentence.data);
  body = json_pack("{s:s, s:s}", "error", text_get(&sentence), "code", code);
  text_free(&sentence);
  answer(c, status, body, retry_ms);
}

void answer_text(call *c, int status, const char *type, const text *body) {
  send_bytes(c, status, type, text_get(body), body->failed ? 0 : body->len, 0);
}

void answer_write(call *c, enum write_result result, const char *error) {
  switch (result) {
  case WRITE_MISSING:
    answer_error(c, 404, "unknown", 0, "there is no app %s", c->app);
    return;
  case WRITE_TAKEN:
    answer_error(c, 409, "host", 0, "%s", error);
    return;
  case WRITE_BROKEN:
    answer_error(c, 409, "broken", 0,
                 "the document of the app %s cannot be read: %s; create the "
                 "app again to replace it",
                 c->app, error);
    return;
  default:
    answer_error(c, 503, "database", 2000,
                 "the database does not say whether it was written: %s", error);
  }
}

/* ---- operations ---- */

static bool put_drone(json_t *body, const op *o) {
  const route_to *to = &o->route.to[0];

  return o->route.to_count == 0 ||
         (json_object_set_new(body, "drone", json_string(to->drone)) == 0 &&
          json_object_set_new(body, "claim", json_string(to->claim)) == 0);
}

static json_t *with_coalesced(call *c, json_t *body) {
  if (body != NULL &&
      json_object_set_new(body, "coalesced", json_boolean(c->coalesced)) != 0) {
    json_decref(body);
    return NULL;
  }
  return body;
}

void answer_live(call *c, const op *o, const char *acks, const char *lacking) {
  json_t *body = with_coalesced(c, op_json(c->api, o, acks, lacking));

  if (body != NULL && !put_drone(body, o)) {
    json_decref(body);
    body = NULL;
  }
  answer(c, 200, body, 0);
}

void answer_get_op(call *c, const op *o, const char *acks,
                   const char *lacking) {
  json_t *body = op_json(c->api, o, acks, lacking);

  if (body != NULL && o->state == OP_LIVE && !put_drone(body, o)) {
    json_decref(body);
    body = NULL;
  }
  answer(c, 200, body, 0);
}

/* The balancers were asked; what is live may have changed meanwhile. */
static void confirmed(call *c, const char *acks, const char *lacking) {
  op o;

  if (op_look(c->api, c->app, c->gen, &o) && o.state == OP_LIVE)
    answer_live(c, &o, acks, lacking);
  else
    answer(c, 202, with_coalesced(c, op_json(c->api, &o, NULL, NULL)), 0);
}

void answer_op(call *c) {
  op o;

  (void)op_look(c->api, c->app, c->gen, &o);
  if (o.state == OP_LIVE && c->start)
    acks_ask(c, &o, 2000, confirmed);
  else
    answer(c, o.state == OP_STOPPED && !c->start ? 200 : 202,
           with_coalesced(c, op_json(c->api, &o, NULL, NULL)), 0);
}
