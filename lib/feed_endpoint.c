/*
 * Which node of a cluster is followed: one is preferred, by chance or by order,
 * another takes its place after a fault, and when the preferred one is found
 * well again the feed goes back at the end of a row.
 */
#include <limits.h>
#include <string.h>

#include "feed.h"
#include "info.h"

enum { RETURN_DOUBLINGS = 4 };

void cfi_endpoint_choose_home(changefeed *f) {
  f->home_due_ms = CFI_NEVER;
  if (f->endpoint_count != 0 &&
      f->set.endpoint_order == CFI_ENDPOINT_ORDER_SPREAD)
    f->home = (size_t)cfi_random_upto(&f->random, (int64_t)f->endpoint_count);
  f->endpoint = f->home;
}

/* After a fault of home, or an answer that is none. */
static void arm(changefeed *f) {
  unsigned before = f->home_faults;
  unsigned doublings = before < RETURN_DOUBLINGS ? before : RETURN_DOUBLINGS;

  f->home_due_ms = cfi_clock_after(cfi_feed_now(f), f->set.endpoint_return_ms *
                                                        (1 << doublings));
  if (f->home_faults < UINT_MAX)
    f->home_faults++;
}

static void notice(changefeed *f, size_t before, const char *reason) {
  changefeed_notice notice = {.kind = CHANGEFEED_NOTICE_ENDPOINT,
                              .reason = reason};

  notice.from = before == 0 ? f->url.shown : f->endpoints[before - 1].shown;
  notice.to = cfi_feed_where(f)->shown;
  cfi_feed_notice(f, &notice);
}

/* Trouble of the node or the way to it, as opposed to trouble of the
   request. */
static bool endpoint_failed(const changefeed *f) {
  int code = f->error.pub.code;

  return code == CHANGEFEED_ERR_NETWORK || code == CHANGEFEED_ERR_TLS ||
         code == CHANGEFEED_ERR_IDLE || code == CHANGEFEED_ERR_PROTOCOL ||
         f->error.pub.http_status >= 500;
}

void cfi_endpoint_change(changefeed *f) {
  size_t before = f->endpoint;

  if (f->endpoint_count == 0 || !endpoint_failed(f))
    return;
  if (before == f->home)
    arm(f);
  f->endpoint = (f->endpoint + 1) % (f->endpoint_count + 1);
  f->server_known = false;
  f->go_home = false;
  notice(f, before, f->error.text);
}

bool cfi_endpoint_looks_home(const changefeed *f) {
  return f->endpoint != f->home && !f->go_home &&
         f->base_state == CHANGEFEED_STATE_LIVE;
}

bool cfi_endpoint_wants_home(const changefeed *f) {
  return cfi_endpoint_looks_home(f) && cfi_feed_now(f) >= f->home_due_ms;
}

/* Another server would mean another history: there is no way back to that. */
static bool is_well(changefeed *f, const cfi_lane *l) {
  cfi_info info = {0};
  bool well;

  if (l->done_code != CHANGEFEED_OK || l->status != 200 || l->no_memory ||
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info) !=
          CFI_INFO_OK)
    return false;
  well = info.welcome &&
         (f->identity.server_uuid == NULL || info.uuid.data == NULL ||
          strcmp(f->identity.server_uuid, info.uuid.data) == 0);
  cfi_info_free(f->alloc, &info);
  return well;
}

void cfi_endpoint_on_home(changefeed *f, const cfi_lane *l) {
  if (is_well(f, l)) {
    f->go_home = f->renew = true;
    return;
  }
  arm(f);
  cfi_feed_log(f, CHANGEFEED_LOG_DEBUG,
               "the preferred endpoint %s is not well yet",
               cfi_feed_where_of(f, l)->shown);
}

void cfi_endpoint_go_home(changefeed *f) {
  size_t before = f->endpoint;

  f->go_home = false;
  f->endpoint = f->home;
  notice(f, before, "the preferred endpoint is well again");
}

void cfi_endpoint_proven(changefeed *f) {
  if (f->endpoint != f->home)
    return;
  f->home_faults = 0;
  f->home_due_ms = CFI_NEVER;
}
