/*
 * Who asks: Basic credentials, session cookies, or nobody; and /_session.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const couch_user *user_of(const couch_world *w, const char *name,
                                 const char *password) {
  for (size_t i = 0; i < w->user_count; i++)
    if (strcmp(w->users[i].name, name) == 0 &&
        (password == NULL || strcmp(w->users[i].password, password) == 0))
      return &w->users[i];
  return NULL;
}

/* name:HEXTIME:mac, as CouchDB's; the mac is only ours to check. */
static void cookie_text(const couch_world *w, const char *name, int64_t at_s,
                        couch_buf *out) {
  couch_buf text = {0}, secret = {0};
  unsigned char mac[16];
  couch_addf(&text, "%s:%llX:", name, (unsigned long long)at_s);
  couch_addf(&secret, "%s%llx", text.data, (unsigned long long)w->session_key);
  couch_md5(secret.data, secret.len, mac);
  couch_add(&text, mac, sizeof mac);
  couch_add_base64url(out, text.data, text.len);
  couch_buf_free(&text);
  couch_buf_free(&secret);
}

static void set_cookie(const couch_world *w, const char *value,
                       couch_reply *out) {
  int64_t age_s = w->settings.cookie_ms / 1000;
  time_t until = (time_t)(w->now_ms / 1000 + age_s);
  struct tm tm;
  char date[64] = "";
  if (gmtime_r(&until, &tm) != NULL)
    (void)strftime(date, sizeof date, "%a, %d-%b-%Y %H:%M:%S GMT", &tm);
  couch_addf(&out->headers,
             "Set-Cookie: AuthSession=%s; Version=1; Expires=%s; Max-Age=%lld;"
             " Path=/; HttpOnly\r\n",
             value, date, (long long)age_s);
}

static void give_session(const couch_world *w, const char *name,
                         couch_reply *out) {
  couch_buf value = {0};
  cookie_text(w, name, w->now_ms / 1000, &value);
  set_cookie(w, value.data, out);
  couch_buf_free(&value);
}

/* The value of AuthSession in a Cookie header. */
static bool find_cookie(const char *header, couch_buf *out) {
  const char *p = strstr(header, "AuthSession=");
  if (p == NULL)
    return false;
  p += 12;
  couch_add(out, p, strcspn(p, "; "));
  return true;
}

static const couch_user *cookie_user(const couch_world *w, const char *header,
                                     int64_t *left_ms) {
  couch_buf value = {0}, raw = {0}, good = {0};
  const couch_user *user = NULL;
  char *colon = NULL, *end;
  if (find_cookie(header, &value) && value.len > 0 &&
      couch_base64_decode(value.data, value.len, &raw) && raw.len > 0)
    colon = strchr(raw.data, ':');
  if (colon != NULL) {
    int64_t at_s;
    *colon = '\0';
    at_s = (int64_t)strtoull(colon + 1, &end, 16);
    cookie_text(w, raw.data, at_s, &good);
    *left_ms = at_s * 1000 + w->settings.cookie_ms - w->now_ms;
    if (strcmp(value.data, good.data) == 0 && *left_ms > 0)
      user = user_of(w, raw.data, NULL);
  }
  couch_buf_free(&value);
  couch_buf_free(&raw);
  couch_buf_free(&good);
  return user;
}

static void be(couch_who *who, const couch_user *user, const char *how) {
  who->name = user->name;
  who->admin = user->admin;
  who->how = how;
}

static bool basic(const couch_world *w, const char *text, couch_who *who,
                  couch_reply *out) {
  couch_buf pair = {0};
  const couch_user *user = NULL;
  char *colon;
  if (!couch_base64_decode(text, strlen(text), &pair) || pair.len == 0) {
    couch_buf_free(&pair);
    couch_crash(out, "unknown_error", "badarg", "2650020842");
    return false;
  }
  colon = strchr(pair.data, ':');
  if (colon != NULL) {
    *colon = '\0';
    user = user_of(w, pair.data, colon + 1);
  }
  couch_buf_free(&pair);
  if (user == NULL) {
    couch_error(out, 401, "unauthorized", "Name or password is incorrect.");
    return false;
  }
  be(who, user, "default");
  return true;
}

bool couch_authenticate(couch_world *w, const couch_request *r,
                        const couch_plan *plan, couch_who *who,
                        couch_reply *out) {
  const char *authorization = couch_header(r, "Authorization");
  const char *cookie = couch_header(r, "Cookie");
  *who = (couch_who){.admin = w->user_count == 0};
  if (w->user_count == 0 || plan->anonymous)
    return true;
  if (authorization != NULL && strlen(authorization) > 6 &&
      (authorization[0] | 32) == 'b' &&
      couch_equal_nocase("basic", (char[6]){authorization[0], authorization[1],
                                            authorization[2], authorization[3],
                                            authorization[4], '\0'}))
    return basic(w, authorization + 6, who, out);
  if (cookie != NULL) {
    int64_t left_ms = 0;
    const couch_user *user = cookie_user(w, cookie, &left_ms);
    if (user != NULL) {
      be(who, user, "cookie");
      if (w->settings.cookie_renewal &&
          left_ms < w->settings.cookie_ms / 10 * 9)
        give_session(w, user->name, out);
    }
  }
  return true;
}

bool couch_must_be_admin(const couch_who *who, couch_reply *out) {
  if (!who->admin)
    couch_error(out, 401, "unauthorized", "You are not a server admin.");
  return who->admin;
}

static bool named(const couch_json *section, const char *name) {
  const couch_json *names = couch_json_get(section, "names");
  if (names != NULL && name != NULL)
    for (const couch_json *v = names->first; v != NULL; v = v->next)
      if (v->kind == COUCH_STRING && strcmp(v->text, name) == 0)
        return true;
  return false;
}

static bool is_open(const couch_json *members) {
  const couch_json *names = couch_json_get(members, "names");
  const couch_json *roles = couch_json_get(members, "roles");
  return (names == NULL || names->first == NULL) &&
         (roles == NULL || roles->first == NULL);
}

bool couch_may_read(const couch_world *w, const couch_db *db,
                    const couch_who *who, couch_reply *out) {
  couch_pool pool = {0};
  const couch_json *security, *members;
  bool may;
  if (who->admin || w->user_count == 0)
    return true;
  security = couch_json_parse(&pool, db->security, strlen(db->security));
  members = couch_json_get(security, "members");
  may = is_open(members) || named(members, who->name) ||
        named(couch_json_get(security, "admins"), who->name);
  couch_pool_free(&pool);
  if (!may && who->name == NULL)
    couch_error(out, 401, "unauthorized",
                "You are not authorized to access this db.");
  else if (!may)
    couch_error(out, 403, "forbidden",
                "You are not allowed to access this db.");
  return may;
}

/* ---- /_session ---- */

static char *form_value(const couch_request *r, const char *name) {
  const char *p = couch_buf_text(&r->body);
  size_t n = strlen(name);
  while (*p != '\0') {
    size_t len = strcspn(p, "&");
    if (len > n && p[n] == '=' && strncmp(p, name, n) == 0) {
      couch_buf value = {0};
      if (!couch_percent_decode(p + n + 1, len - n - 1, true, &value))
        value.len = 0;
      return value.data;
    }
    p += len + (p[len] == '&');
  }
  return NULL;
}

static void log_in(couch_world *w, const couch_request *r, couch_reply *out) {
  const char *type = couch_header(r, "Content-Type");
  const couch_user *user;
  char *name = NULL, *password = NULL;
  if (type != NULL && couch_starts(type, "application/json")) {
    couch_pool pool = {0};
    const couch_json *v = couch_body_json(r, &pool, out);
    const char *n = couch_json_text(v, "name");
    const char *p = couch_json_text(v, "password");
    name = couch_dup(n != NULL ? n : "");
    password = couch_dup(p != NULL ? p : "");
    couch_pool_free(&pool);
    if (v == NULL)
      goto done;
  } else {
    name = form_value(r, "name");
    password = form_value(r, "password");
  }
  user = name != NULL && password != NULL ? user_of(w, name, password) : NULL;
  if (user == NULL) {
    couch_error(out, 401, "unauthorized", "Name or password is incorrect.");
    set_cookie(w, "", out);
  } else {
    couch_buf json = {0};
    couch_add_text(&json, "{\"ok\":true,\"name\":");
    couch_add_json_text(&json, user->name);
    couch_addf(&json, ",\"roles\":[%s]}", user->admin ? "\"_admin\"" : "");
    couch_json_reply(out, 200, json.data);
    couch_buf_free(&json);
    give_session(w, user->name, out);
  }
done:
  free(name);
  free(password);
}

void couch_api_session(couch_world *w, const couch_request *r,
                       const couch_who *who, couch_reply *out) {
  couch_buf json = {0};
  if (couch_is(r, "POST")) {
    log_in(w, r, out);
    return;
  }
  if (couch_is(r, "DELETE")) {
    couch_json_reply(out, 200, "{\"ok\":true}");
    couch_header_add(out, "Set-Cookie",
                     "AuthSession=; Version=1; Path=/; HttpOnly");
    return;
  }
  if (!couch_is(r, "GET") && !couch_is(r, "HEAD")) {
    couch_only(r, out, "GET,HEAD,POST,DELETE");
    return;
  }
  couch_add_text(&json, "{\"ok\":true,\"userCtx\":{\"name\":");
  if (who->name != NULL)
    couch_add_json_text(&json, who->name);
  else
    couch_add_text(&json, "null");
  couch_addf(&json,
             ",\"roles\":[%s]},\"info\":{\"authentication_handlers\":"
             "[\"cookie\",\"default\"]",
             who->admin ? "\"_admin\"" : "");
  if (who->how != NULL)
    couch_addf(&json, ",\"authenticated\":\"%s\"", who->how);
  couch_add_text(&json, "}}");
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}
