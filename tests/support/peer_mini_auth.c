/* Who may use the mini couch: Basic, bearer and cookie credentials, and
   _session. Answers are those of CouchDB 3.5. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_mini_int.h"
#include "timing.h"

#include <inttypes.h>

static const char NOT_AUTHORIZED[] =
    "You are not authorized to access this db.";
static const char WRONG[] = "Name or password is incorrect.";

static void base64(const char *in, cft_text *out) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t len = strlen(in);
  for (size_t i = 0; i < len; i += 3) {
    unsigned v = 0;
    char quad[4];
    for (size_t k = 0; k < 3; k++)
      v = v << 8 | (i + k < len ? (unsigned char)in[i + k] : 0);
    for (size_t k = 0; k < 4; k++)
      quad[k] = k <= len - i ? digits[v >> (18 - 6 * k) & 63] : '=';
    cft_text_add(out, quad, 4);
  }
}

static bool basic_ok(const cft_exchange *x, const char *given) {
  char plain[160];
  cft_text want = {NULL, 0, 0};
  snprintf(plain, sizeof plain, "%s:%s", x->config.user, x->config.password);
  base64(plain, &want);
  bool ok = want.data && strcmp(want.data, given) == 0;
  cft_text_free(&want);
  return ok;
}

/* Cookies say "EPOCH-EXPIRY": the server need not remember them. */
enum cookie { NO_COOKIE, COOKIE_GOOD, COOKIE_BAD };

static enum cookie cookie_state(const cft_exchange *x) {
  static const char name[] = "AuthSession=";
  char header[512], *end;
  const char *value;
  if (!cft_request_header(x->req, "Cookie", header, sizeof header) ||
      (value = strstr(header, name)) == NULL)
    return NO_COOKIE;
  unsigned long epoch = strtoul(value + strlen(name), &end, 10);
  int64_t expiry_ms = *end == '-' ? strtoll(end + 1, NULL, 10) : 0;
  pthread_mutex_lock(&x->mini->mu);
  bool current = epoch == x->mini->session_epoch;
  pthread_mutex_unlock(&x->mini->mu);
  return current && cft_now_ms() < expiry_ms ? COOKIE_GOOD : COOKIE_BAD;
}

static bool refused(cft_exchange *x, const char *reason, bool *ok) {
  *ok = cft_mini_refuse(x, 401, "unauthorized", reason);
  return false;
}

bool cft_mini_admit(cft_exchange *x, bool *ok) {
  char header[512];
  *ok = true;
  if (!x->config.user[0])
    return true;
  if (cft_request_header(x->req, "Authorization", header, sizeof header)) {
    if (strncmp(header, "Basic ", 6) == 0)
      return basic_ok(x, header + 6) || refused(x, WRONG, ok);
    if (strncmp(header, "Bearer ", 7) == 0 && x->config.bearer[0] &&
        strcmp(header + 7, x->config.bearer) == 0)
      return true;
    return refused(x, NOT_AUTHORIZED, ok);
  }
  switch (cookie_state(x)) {
  case COOKIE_GOOD:
    return true;
  case COOKIE_BAD:
    if (x->config.expired_is_anonymous)
      return true;
    break;
  case NO_COOKIE:
    break;
  }
  return refused(x, NOT_AUTHORIZED, ok);
}

/* Name and password of a form or a JSON body. */
static bool credentials_ok(const cft_exchange *x) {
  char name[128] = "", password[128] = "";
  json_t *body = json_loadb(x->req->body, x->req->body_len, 0, NULL);
  const char *n = json_string_value(json_object_get(body, "name"));
  const char *p = json_string_value(json_object_get(body, "password"));
  if (n && p) {
    snprintf(name, sizeof name, "%s", n);
    snprintf(password, sizeof password, "%s", p);
  } else {
    cft_query_value(x->req->body, "name", name, sizeof name);
    cft_query_value(x->req->body, "password", password, sizeof password);
  }
  json_decref(body);
  return name[0] && strcmp(name, x->config.user) == 0 &&
         strcmp(password, x->config.password) == 0;
}

static bool login(cft_exchange *x) {
  char headers[256];
  cft_text body = {NULL, 0, 0};
  if (!credentials_ok(x))
    return cft_mini_reply(x, 401,
                          "Set-Cookie: AuthSession=; Version=1; Max-Age=600; "
                          "Path=/; HttpOnly\r\n",
                          "{\"error\":\"unauthorized\",\"reason\":\"Name or "
                          "password is incorrect.\"}\n");
  pthread_mutex_lock(&x->mini->mu);
  unsigned epoch = x->mini->session_epoch;
  pthread_mutex_unlock(&x->mini->mu);
  int64_t life_ms = x->config.session_ms, expiry_ms = cft_now_ms() + life_ms;
  snprintf(headers, sizeof headers,
           "Set-Cookie: AuthSession=%u-%" PRId64 "; Version=1; "
           "Max-Age=%" PRId64 "; Path=/; HttpOnly\r\n",
           epoch, expiry_ms, (life_ms + 999) / 1000);
  cft_text_adds(&body, "{\"ok\":true,\"name\":");
  cft_text_json(&body, x->config.user);
  cft_text_adds(&body, ",\"roles\":[\"_admin\"]}\n");
  bool ok = cft_mini_reply(x, 200, headers, body.data);
  cft_text_free(&body);
  return ok;
}

static bool who(cft_exchange *x) {
  char header[512];
  cft_text body = {NULL, 0, 0};
  bool known = cookie_state(x) == COOKIE_GOOD;
  if (cft_request_header(x->req, "Authorization", header, sizeof header) &&
      strncmp(header, "Basic ", 6) == 0)
    known = basic_ok(x, header + 6);
  cft_text_adds(&body, "{\"ok\":true,\"userCtx\":{\"name\":");
  if (known)
    cft_text_json(&body, x->config.user);
  else
    cft_text_adds(&body, "null");
  cft_text_addf(&body,
                ",\"roles\":[%s]},\"info\":{\"authentication_handlers\":"
                "[\"cookie\",\"default\"]}}\n",
                known ? "\"_admin\"" : "");
  bool ok = cft_mini_reply(x, 200, NULL, body.data);
  cft_text_free(&body);
  return ok;
}

bool cft_mini_session(cft_exchange *x) {
  if (strcmp(x->req->method, "POST") == 0)
    return login(x);
  if (strcmp(x->req->method, "GET") == 0)
    return who(x);
  if (strcmp(x->req->method, "DELETE") == 0)
    return cft_mini_reply(x, 200, NULL, "{\"ok\":true}\n");
  return cft_mini_refuse(x, 405, "method_not_allowed",
                         "Only GET,HEAD,POST,DELETE allowed");
}

void cft_mini_expire_sessions(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  mini->session_epoch++;
  pthread_mutex_unlock(&mini->mu);
}
