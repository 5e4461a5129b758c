/* What an answer is, and what things are called. */
#include "common/traffic.h"

#include <stdio.h>

const char *traffic_kind_name(enum traffic_kind kind) {
  static const char *const names[TRAFFIC_KINDS] = {
      "plain", "last",      "head",       "old",        "slow",
      "bytes", "post",      "chunked",    "half-close", "pipelined",
      "big",   "websocket", "abort-head", "abort-body", "abort-answer"};

  return names[kind];
}

const char *traffic_outcome_name(enum traffic_outcome outcome) {
  static const char *const names[TRAFFIC_OUTCOMES] = {
      "answered", "aborted", "not-connected", "cut-head", "cut-body",
      "late",     "broken",  "not-begun",     "stopped"};

  return names[outcome];
}

/* E and two digits. */
static bool is_code(const char *error) {
  return error[0] == 'E' && error[1] >= '0' && error[1] <= '9' &&
         error[2] >= '0' && error[2] <= '9' && error[3] == '\0';
}

/* NULL: it is the app's own answer, as far as it came. */
static const char *judge_own(const traffic_result *r, const char *own) {
  size_t len = strlen(own), n = r->body_len < len ? r->body_len : len;

  if (r->page[0] != '\0' && strcmp(r->page, own) != 0)
    return "the page of another app";
  if (r->status != 200 && r->status != 101)
    return "neither the app's page nor the balancer's";
  if (memcmp(r->body, own, n) != 0)
    return "the body of something else";
  if (r->page[0] != '\0')
    return NULL; /* what is behind that was compared when it came */
  if ((r->body_len > len && r->body[len] != '\n') || r->length > len + 1)
    return "the app's page and more";
  if (r->outcome == TRAFFIC_ANSWERED && r->length != len + 1)
    return "a part of the app's page, as if it were all of it";
  return NULL;
}

static enum traffic_verdict judge(const traffic_result *r, const char *own,
                                  const char **said) {
  *said = "nothing";
  if (r->status == 0)
    return TRAFFIC_NOTHING;
  *said = r->wrong != NULL ? r->wrong : "a field that tells what is inside";
  if (r->inside || r->wrong != NULL)
    return TRAFFIC_FOREIGN;
  if (r->error[0] != '\0') {
    bool is_page = is_code(r->error) && r->status >= 400 &&
                   strstr(r->body, "nonce=") == NULL;

    *said = is_page ? "a page of the balancer"
                    : "what is no page of the balancer, and says so";
    return is_page ? TRAFFIC_PAGE : TRAFFIC_FOREIGN;
  }
  if (r->page[0] == '\0' && r->length == 0 &&
      (r->outcome != TRAFFIC_ANSWERED || r->kind == TRAFFIC_HEAD) &&
      (r->status == 200 || r->status == 101)) {
    *said = "nothing of a page";
    return TRAFFIC_NOTHING;
  }
  *said = judge_own(r, own);
  if (*said != NULL)
    return TRAFFIC_FOREIGN;
  *said = "the app's page";
  return TRAFFIC_OWN;
}

enum traffic_verdict traffic_judge(const traffic_result *r, const char *own,
                                   char *said, size_t size) {
  const char *what;
  enum traffic_verdict verdict = judge(r, own, &what);

  if (said == NULL)
    return verdict;
  if (verdict == TRAFFIC_OWN || verdict == TRAFFIC_NOTHING)
    (void)snprintf(said, size, "%s", what);
  else
    (void)snprintf(said, size, "%s: %d %s%s%.*s", what, r->status, r->error,
                   r->error[0] != '\0' ? " " : "",
                   (int)strcspn(r->body, "\r\n"), r->body);
  return verdict;
}
