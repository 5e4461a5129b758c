/*
 * Small answers that are as they should be: who the server is, which database
 * it has, whether it knows us.
 */
#include <limits.h>
#include <string.h>

#include "feed.h"
#include "info.h"
#include "str.h"

/* Statuses that say all the same what was to be known: a server may hide its
   front page, or its sessions; a document may not be there, or may not be
   written. */
bool cfi_feed_is_excused(const changefeed *f, const cfi_lane *l) {
  (void)f;
  switch (l->ask) {
  case CFI_ASK_SERVER:
    return l->status == 403 || l->status == 404 || l->status == 405;
  case CFI_ASK_SESSION:
    return l->status == 404 || l->status == 405;
  default:
    return false;
  }
}

static char *keep(changefeed *f, changefeed_str s, bool *ok) {
  char *copy = NULL;

  if (s.data != NULL) {
    copy = cfi_strndup(f->alloc, s.data, s.len);
    *ok = *ok && copy != NULL;
  }
  return copy;
}

/* Also a cookie of before, which is to be renewed, is none. */
static void on_login(changefeed *f, const cfi_lane *l) {
  if (f->cookie == NULL || cfi_feed_now(f) >= f->cookie_until_ms) {
    cfi_feed_fault_protocol(f, l, "the answer holds no AuthSession cookie");
    return;
  }
  f->session_proven_ms = CFI_NEVER;
  cfi_feed_response_over(f);
}

/* A server may take an expired cookie for no cookie, and serve what everybody
   may see as if that were all there is. */
static void on_session(changefeed *f, const cfi_lane *l, const cfi_info *info) {
  if (l->status != 200 || info->has_user) {
    f->session_proven_ms = cfi_feed_now(f);
    f->checks |= CFI_CHECKED_SESSION;
    return;
  }
  if (!info->has_session) {
    cfi_feed_fault_protocol(
        f, l, "HTTP 200 with an object that describes no session");
    return;
  }
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_AUTH,
                      "%s takes the session of %s for an anonymous one",
                      cfi_feed_where(f)->shown, f->username);
  f->error.pub.http_status = l->status;
  if (cfi_feed_can_renew(f))
    cfi_feed_renew(f);
  else
    cfi_feed_fatal(f);
}

/* "3.5.0" is 3; 0 when it is no version. */
static int64_t major_of(changefeed_str version) {
  const char *dot = version.data != NULL ? strchr(version.data, '.') : NULL;
  int64_t major = 0;

  if (dot != NULL &&
      !cfi_str_to_int(version.data, (size_t)(dot - version.data), &major))
    major = 0;
  return major;
}

static bool learn_server(changefeed *f, const cfi_info *info) {
  bool ok = true;
  char *uuid = keep(f, info->uuid, &ok);

  if (!ok)
    return false;
  cfi_free(f->alloc, f->found.server_uuid);
  f->found.server_uuid = uuid;
  f->server_major = major_of(info->version);
  f->server_known = true;
  return true;
}

/* One that changes each time it is asked for tells nothing. */
static void count_start_times(changefeed *f, const char *now) {
  const char *before = f->found.instance_start_time;

  if (before == NULL || now == NULL)
    return;
  if (strcmp(before, now) == 0)
    f->start_times = 0;
  else if (f->start_times < UINT_MAX)
    f->start_times++;
}

static bool learn_database(changefeed *f, const cfi_info *info) {
  bool ok = true;
  char *start_time = keep(f, info->instance_start_time, &ok);
  char *seq =
      info->update_seq_is_number ? keep(f, info->update_seq, &ok) : NULL;

  if (!ok) {
    cfi_free(f->alloc, start_time);
    cfi_free(f->alloc, seq);
    return false;
  }
  count_start_times(f, start_time);
  cfi_free(f->alloc, f->found.instance_start_time);
  cfi_free(f->alloc, f->found_seq);
  f->found.instance_start_time = start_time;
  f->found_seq = seq;
  f->db_known = f->db_seen = true;
  f->missing_since_ms = CFI_NEVER;
  return true;
}

static void on_identity(changefeed *f, const cfi_lane *l,
                        const cfi_info *info) {
  bool ok = l->ask == CFI_ASK_SERVER ? learn_server(f, info)
                                     : learn_database(f, info);

  if (!ok) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return;
  }
  if (!cfi_feed_same_history(f, l->ask))
    return;
  if (l == &f->main)
    cfi_feed_response_over(f);
  else
    f->checks |= CFI_CHECKED_IDENTITY;
}

static bool describes_database(const cfi_info *info) {
  return info->db_name.data != NULL || info->update_seq.data != NULL ||
         info->instance_start_time.data != NULL;
}

void cfi_feed_on_info(changefeed *f, cfi_lane *l) {
  cfi_info info = {0};
  int rc = CFI_INFO_OK;

  if (l->ask == CFI_ASK_LOGIN) {
    on_login(f, l);
    return;
  }
  if (l->status == 200)
    rc = cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);
  if (rc == CFI_INFO_NOMEM) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
  } else if (rc == CFI_INFO_BAD) {
    cfi_feed_fault_protocol(
        f, l, "HTTP 200 with something that is not a JSON object");
  } else if (l->ask == CFI_ASK_SESSION) {
    on_session(f, l, &info);
  } else if (l->ask == CFI_ASK_DATABASE && !describes_database(&info)) {
    cfi_feed_fault_protocol(
        f, l, "HTTP 200 with an object that describes no database");
  } else {
    on_identity(f, l, &info);
  }
  cfi_info_free(f->alloc, &info);
}
