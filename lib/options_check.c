/*
 * What no single value shows: options that exclude or need each other. Also
 * the names that the lists header and query may not use.
 */
#include <string.h>

#include "options_info.h"
#include "str.h"

enum { SHOWN = 60 }; /* bytes of a value in a sentence */

/* ---- names the library uses itself ---- */

typedef struct taken {
  const char *name, *instead;
} taken;

static const taken taken_headers[] = {
    {"Authorization", "use username and password, bearer_token, or "
                      "changefeed_set_authorization"},
    {"Proxy-Authorization", "put user:password into proxy"},
    {"Cookie", "use session"},
    {"User-Agent", "use user_agent"},
    {"Accept-Encoding", "use compression"},
    {"Last-Event-ID", "use since"},
    {"Accept", "the library sets it"},
    {"Content-Type", "the library sets it"},
    {"Content-Length", "the library sets it"},
    {"Transfer-Encoding", "the library sets it"},
    {"Content-Encoding", "the library sets it"},
    {"Connection", "the library sets it"},
    {"Proxy-Connection", "the library sets it"},
    {"Keep-Alive", "the library sets it"},
    {"Upgrade", "the library sets it"},
    {"HTTP2-Settings", "the library sets it"},
    {"TE", "the library sets it"},
    {"Trailer", "the library sets it"},
    {"Expect", "the library sets it"},
};

static const taken taken_params[] = {
    {"feed", "use mode and transport"},
    {"since", "use since"},
    {"last-event-id", "use since"},
    {"heartbeat", "use heartbeat_ms"},
    {"timeout", "use progress_interval_ms and heartbeat_ms"},
    {"limit", "use limit"},
    {"filter", "use filter"},
    {"doc_ids", "use doc_ids"},
    {"selector", "use selector"},
    {"view", "use view"},
    {"style", "use style"},
    {"include_docs", "use include_docs"},
    {"conflicts", "use conflicts"},
    {"attachments", "use attachments"},
    {"att_encoding_info", "use att_encoding_info"},
    {"seq_interval", "use seq_interval"},
    {"descending", "use descending"},
};

static bool is_token(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    int c = cfi_str_lower(text[i]);
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
        (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
      return false;
  }
  return len != 0;
}

static bool is_name(const char *name, const char *text, size_t len) {
  return strlen(name) == len && cfi_str_starts_nocase(text, name);
}

int cfi_option_check_header(const char *value, cfi_error *error) {
  size_t len = strcspn(value, ":");
  const char *rest = value + len + (value[len] == ':' ? 1 : 0);

  /* Of what has no colon, everything could be the secret. */
  if (value[len] != ':' || !is_token(value, len))
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "header: the value is not of the form "
                         "\"Name: value\"");
  while (*rest == ' ')
    rest++;
  if (*rest == '\0')
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "header: %.*s has no value",
                         len < SHOWN ? (int)len : SHOWN, value);
  for (size_t i = 0; i < sizeof taken_headers / sizeof *taken_headers; i++)
    if (is_name(taken_headers[i].name, value, len))
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "header: %s is not for this option; %s",
                           taken_headers[i].name, taken_headers[i].instead);
  return CHANGEFEED_OK;
}

int cfi_option_check_query(const char *value, cfi_error *error) {
  size_t len = strcspn(value, "=");

  if (value[len] != '=' || len == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "query: \"%.*s\" is not of the form name=value", SHOWN,
                         value);
  for (size_t i = 0; i < sizeof taken_params / sizeof *taken_params; i++)
    if (is_name(taken_params[i].name, value, len))
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "query: the parameter %s is the library's; %s",
                           taken_params[i].name, taken_params[i].instead);
  return CHANGEFEED_OK;
}

/* ---- together ---- */

static int conflict(cfi_error *error, const char *sentence) {
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION, "%s", sentence);
}

static int check_credentials(const cfi_settings *s, cfi_error *error) {
  if (s->password != NULL && s->username == NULL && strchr(s->url, '@') == NULL)
    return conflict(error, "password: there is no user name; set username");
  if (s->bearer_token != NULL && s->username != NULL)
    return conflict(error, "bearer_token and username exclude each other");
  if (s->bearer_token != NULL && s->session != 0)
    return conflict(error, "bearer_token and session exclude each other");
  if (s->username != NULL && s->session == 0 &&
      strchr(s->username, ':') != NULL)
    return conflict(error, "username: a name with ':' cannot be sent without "
                           "session");
  if (s->client_key != NULL && s->client_cert == NULL)
    return conflict(error, "client_key: there is no client_cert");
  if (s->client_key_password != NULL && s->client_cert == NULL)
    return conflict(error, "client_key_password: there is no client_cert");
  return CHANGEFEED_OK;
}

static int check_way(const cfi_settings *s, cfi_error *error) {
  if (s->unix_socket == NULL)
    return CHANGEFEED_OK;
  if (s->endpoint.count != 0)
    return conflict(error, "unix_socket and endpoint exclude each other");
  if (s->proxy != NULL && strcmp(s->proxy, "-") != 0)
    return conflict(error, "unix_socket and proxy exclude each other");
  return CHANGEFEED_OK;
}

static bool is_text(const char *text, const char *other) {
  return text != NULL && strcmp(text, other) == 0;
}

/* doc_ids, selector and view bring their filter with them; naming it besides
   is no mistake. */
static int check_filter(const cfi_settings *s, cfi_error *error) {
  const struct {
    const char *name, *value, *filter;
  } own[] = {{"doc_ids", s->doc_ids, "_doc_ids"},
             {"selector", s->selector, "_selector"},
             {"view", s->view, "_view"}};
  const char *used = NULL, *needed = NULL;

  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    if (own[i].value == NULL) {
      if (is_text(s->filter, own[i].filter))
        needed = own[i].name;
      continue;
    }
    if (used != NULL)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s and %s exclude each other", used, own[i].name);
    used = own[i].name;
    if (s->filter != NULL && strcmp(s->filter, own[i].filter) != 0)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s and filter exclude each other", used);
  }
  if (needed != NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "filter: %s needs the option %s", s->filter, needed);
  return CHANGEFEED_OK;
}

static int check_rows(const cfi_settings *s, cfi_error *error) {
  const struct {
    const char *name;
    int64_t on;
  } needs_docs[] = {{"conflicts", s->conflicts},
                    {"attachments", s->attachments},
                    {"att_encoding_info", s->att_encoding_info}};
  const struct {
    const char *name;
    bool on;
  } of_list[] = {{"startkey", s->startkey != NULL},
                 {"endkey", s->endkey != NULL},
                 {"inclusive_end", s->inclusive_end == 0}};

  for (size_t i = 0; i < sizeof needs_docs / sizeof *needs_docs; i++)
    if (needs_docs[i].on != 0 && s->include_docs == 0)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s: include_docs must be on too",
                           needs_docs[i].name);
  for (size_t i = 0; i < sizeof of_list / sizeof *of_list; i++)
    if (of_list[i].on && s->source != CFI_SOURCE_ALL_DOCS)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s: source must be all_docs", of_list[i].name);
  if (s->descending != 0 && s->mode != CFI_MODE_ONCE)
    return conflict(error, "descending: mode must be once");
  return CHANGEFEED_OK;
}

static int check_position(const changefeed_options *o, cfi_error *error) {
  bool kept = !is_text(o->set.checkpoint, "none");

  if (o->store.save != NULL && kept)
    return conflict(error, "checkpoint: it must be none beside a store of the "
                           "application");
  /* The last row of such a run is the oldest: resuming behind it would skip
     all that is newer. */
  if (o->set.descending != 0 && (kept || o->store.save != NULL))
    return conflict(error, "descending: no position can be kept; set "
                           "checkpoint to none");
  return CHANGEFEED_OK;
}

int cfi_options_check(const changefeed_options *o, cfi_error *error) {
  const cfi_settings *s = &o->set;
  int rc;

  if (s->url == NULL)
    return conflict(error, "url: it must be set, for instance to "
                           "http://127.0.0.1:5984/db");
  rc = check_credentials(s, error);
  if (rc == CHANGEFEED_OK)
    rc = check_way(s, error);
  if (rc == CHANGEFEED_OK)
    rc = check_filter(s, error);
  if (rc == CHANGEFEED_OK)
    rc = check_rows(s, error);
  if (rc == CHANGEFEED_OK)
    rc = check_position(o, error);
  if (rc == CHANGEFEED_OK && s->retry_min_ms > s->retry_max_ms)
    return cfi_error_set(error, CHANGEFEED_ERR_RANGE,
                         "retry_min_ms: %lld ms is more than retry_max_ms, "
                         "which is %lld ms",
                         (long long)s->retry_min_ms,
                         (long long)s->retry_max_ms);
  return rc;
}
