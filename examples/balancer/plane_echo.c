/* Whether an answer may be shown: it is, byte by byte, of the claim that was
   asked for. The guard puts the claim on whatever passes it and takes both
   fields away from what the app says, so no app can forge them. */
#include "balancer/plane_state.h"

/* Both names have 13 letters. */
enum { NAME_LEN = sizeof PLANE_CLAIM - 1 };

typedef struct marks {
  const http_field *claim, *error;
  size_t claims;
} marks;

static marks find_marks(const http_head *head) {
  marks m = {NULL, NULL, 0};

  for (size_t i = 0; i < head->count; i++) {
    const http_field *field = &head->fields[i];

    if (field->name.len != NAME_LEN)
      continue;
    if (http_str_is(field->name, PLANE_CLAIM)) {
      m.claim = field;
      m.claims++;
    } else if (http_str_is(field->name, "X-Drone-Error")) {
      m.error = field;
    }
  }
  return m;
}

/* What the guard itself has to say, in place of the app. */
static void owe_page(visit *v, http_str error, int status) {
  v->owed = PAGE_BROKEN;
  v->not_taken = true;
  if (http_str_same(error, "starting")) {
    v->owed = PAGE_STARTING;
    return;
  }
  if (http_str_same(error, "crashed")) {
    v->owed = PAGE_CRASHED;
    return;
  }
  v->not_taken = false;
  if (http_str_same(error, "late")) {
    v->owed = PAGE_LATE;
  } else if (http_str_same(error, "refused") && status == 503) {
    v->owed = PAGE_BUSY;
  } else if (http_str_same(error, "refused") &&
             (status == 408 || status == 413 || status == 414 ||
              status == 431)) {
    v->owed = PAGE_LIMIT;
    v->owed_status = status;
  }
}

/* The way that is known to be wrong, "noguard": whatever comes is shown. */
static bool is_trusting(const visit *v) {
#ifdef PLATFORM_HOOKS
  return v->worker->plane->trusting;
#else
  (void)v;
  return false;
#endif
}

enum http_proxy_result plane_look_at(visit *v, const http_head *head) {
  marks m;

  if (is_trusting(v))
    return HTTP_PROXY_OK;
  m = find_marks(head);
  if (m.claims != 1 || !http_str_same(m.claim->value, v->target.claim)) {
    v->owed = PAGE_MISROUTED;
    v->not_taken = head->status == 421;
    return HTTP_PROXY_REJECTED;
  }
  if (m.error == NULL)
    return HTTP_PROXY_OK;
  owe_page(v, m.error->value, head->status);
  return HTTP_PROXY_REJECTED;
}
