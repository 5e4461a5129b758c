/* JSON, written as it goes. */
#include "balancer/admin_state.h"

#include "common/escape.h"
#include <inttypes.h>
#include <string.h>

static void put_name(text *out, const char *name) {
  if (name != NULL)
    text_printf(out, "\"%s\":", name);
}

void json_open(text *out, const char *name, char bracket) {
  put_name(out, name);
  text_add(out, &bracket, 1);
}

void json_shut(text *out, char bracket) {
  if (out->len != 0 && out->data[out->len - 1] == ',')
    text_cut(out, out->len - 1);
  text_add(out, &bracket, 1);
  text_str(out, ",");
}

void json_text(text *out, const char *name, const char *value) {
  put_name(out, name);
  if (value != NULL)
    escape_json(out, value);
  else
    text_str(out, "null");
  text_str(out, ",");
}

void json_count(text *out, const char *name, uint64_t value) {
  put_name(out, name);
  text_printf(out, "%" PRIu64 ",", value);
}

void json_number(text *out, const char *name, int64_t value) {
  put_name(out, name);
  text_printf(out, "%" PRId64 ",", value);
}

void json_flag(text *out, const char *name, bool value) {
  put_name(out, name);
  text_str(out, value ? "true," : "false,");
}

/* ---- a route ---- */

static void put_hosts(text *out, const route *r) {
  char host[HOST_MOST + 1];
  size_t len;

  json_open(out, "hosts", '[');
  for (size_t i = 0; i < route_host_count(r); i++) {
    const char *at = route_host(r, i, &len);

    memcpy(host, at, len);
    host[len] = '\0';
    json_text(out, NULL, host);
  }
  json_shut(out, ']');
}

/* The claim's digits, as the documents have it: without "APP/". */
static void put_targets(text *out, const route *r) {
  route_target target;

  json_open(out, "to", '[');
  for (size_t i = 0; i < route_target_count(r); i++) {
    const char *slash;

    route_target_at(r, i, &target);
    slash = strrchr(target.claim, '/');
    json_open(out, NULL, '{');
    json_text(out, "addr", target.addr);
    json_text(out, "claim", slash != NULL ? slash + 1 : target.claim);
    json_shut(out, '}');
  }
  json_shut(out, ']');
}

void json_route(text *out, const route *r) {
  char app[NAME_MOST + 1], code[32], msg[256];

  route_app(r, app);
  route_words(r, code, msg);
  json_text(out, "app", app);
  json_number(out, "gen", route_gen(r));
  json_text(out, "state", route_state_word(route_state(r)));
  json_text(out, "code", code);
  json_text(out, "msg", msg);
  json_flag(out, "closed", route_is_closed(r));
  put_hosts(out, r);
  put_targets(out, r);
}
