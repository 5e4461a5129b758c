/*
 * The audit: the server's list against what the mirror holds, page by page.
 * What differs may only be on its way, so it is asked for again until both
 * sides have said the same three times while the feed was live, and was heard
 * of in between; then it is a difference, is told, and put right.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_state.h"
#include "str.h"

enum {
  SUSPECTS = 100000,
  AT_ONCE = 500,
  PAUSE_MS = 1000,
  CERTAIN = 3,
  ROUNDS = 12,
  NOT_LIVE = 180 /* pauses */
};

static const changefeed_str nothing = {"-", 1};

/* ---- suspects ---- */

/* Remembered is how often both sides were seen so: "2 HELD SERVED". */
static bool remember(changefeed_mirror *m, changefeed_str id, unsigned times,
                     changefeed_str held, changefeed_str served) {
  changefeed_str text;
  cfi_buf b;
  bool ok;

  cfi_buf_init(&b, &m->alloc);
  cfi_buf_putc(&b, (char)('0' + times));
  cfi_buf_putc(&b, ' ');
  cfi_buf_put(&b, held.data, held.len);
  cfi_buf_putc(&b, ' ');
  cfi_buf_put(&b, served.data, served.len);
  text.data = cfi_buf_text(&b);
  text.len = b.len;
  ok = text.data != NULL &&
       cfi_tree_put(m->audit.suspects, id, text, NULL) != CFI_TREE_NOMEM;
  cfi_buf_free(&b);
  return ok;
}

static bool suspect(changefeed_mirror *m, changefeed_str id) {
  if (cfi_tree_count(m->audit.suspects) >= SUSPECTS) {
    m->audit.full = true;
    return true;
  }
  return remember(m, id, 0, nothing, nothing);
}

bool cfi_audit_moved(changefeed_mirror *m, changefeed_str id) {
  cfi_tree_entry e;

  return m->audit.step == CFI_AUDIT_NONE ||
         !cfi_tree_find(m->audit.suspects, id, &e) ||
         remember(m, id, 0, nothing, nothing);
}

/* ---- the end ---- */

static void finish(changefeed_mirror *m, int code) {
  cfi_auditor *a = &m->audit;

  a->step = CFI_AUDIT_NONE;
  if (a->view != NULL)
    cfi_tree_release(m->tree, a->view);
  a->view = NULL;
  cfi_free(&m->alloc, a->before);
  a->before = NULL;
  a->report.code = code;
  a->report.unsettled = cfi_tree_count(a->suspects);
  a->report.took_ms = cfi_mirror_now(m) - a->begun_ms;
  cfi_tree_clear(a->suspects);
  a->due_ms = m->audit_ms != 0 ? cfi_mirror_now(m) + m->audit_ms : CFI_NEVER;
  if (m->callbacks.on_audit == NULL || m->closing)
    return;
  m->depth++;
  m->callbacks.on_audit(m, &a->report, m->callbacks.user);
  m->depth--;
}

void cfi_audit_drop(changefeed_mirror *m) {
  if (m->audit.step == CFI_AUDIT_NONE)
    return;
  cfi_lister_close(&m->list);
  finish(m, CHANGEFEED_END);
}

void cfi_audit_free(changefeed_mirror *m) {
  if (m->audit.view != NULL)
    cfi_tree_release(m->tree, m->audit.view);
  m->audit.view = NULL;
  cfi_free(&m->alloc, m->audit.before);
  cfi_buf_free(&m->audit.last);
  cfi_tree_free(m->audit.suspects);
}

/* ---- the position: was the database quiet? ---- */

/* "12-g1AAA" is 12: nodes write the rest in several ways. */
static char *number_of(changefeed_mirror *m, changefeed_str seq) {
  size_t len = 0;

  while (len < seq.len && seq.data[len] != '-')
    len++;
  return seq.data != NULL ? cfi_strndup(&m->alloc, seq.data, len)
                          : cfi_strdup(&m->alloc, "");
}

static int no_row(changefeed_mirror *m, const changefeed_change *c) {
  (void)m;
  (void)c;
  return CHANGEFEED_CONTINUE;
}

static void position_ended(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;
  char *now = number_of(m, changefeed_position(m->list.feed));

  if (now == NULL) {
    cfi_mirror_no_memory(m);
    return;
  }
  if (a->step == CFI_AUDIT_BEFORE) {
    a->before = now;
    a->step = CFI_AUDIT_PAGES;
    return;
  }
  a->report.quiet = now[0] != '\0' && strcmp(now, a->before) == 0;
  cfi_free(&m->alloc, now);
  a->step = CFI_AUDIT_WAIT;
  a->due_ms =
      cfi_mirror_now(m) + (cfi_tree_count(a->suspects) != 0 ? PAUSE_MS / 4 : 0);
}

/* ---- the list ---- */

static int order_of(changefeed_str a, changefeed_str b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len != 0 ? memcmp(a.data, b.data, len) : 0;

  return order != 0 || a.len == b.len ? order : a.len < b.len ? -1 : 1;
}

static int page_row(changefeed_mirror *m, const changefeed_change *c) {
  cfi_auditor *a = &m->audit;
  bool ok = true;
  int order = 1;

  a->report.documents++;
  while (ok && a->walking && (order = order_of(a->entry.id, c->id)) < 0) {
    ok = suspect(m, a->entry.id);
    a->walking = cfi_tree_next(&a->walk, &a->entry);
  }
  if (ok && a->walking && order == 0) {
    if (c->rev_count == 0 || !cfi_str_same(a->entry.rev, c->revs[0]))
      ok = suspect(m, c->id);
    a->walking = cfi_tree_next(&a->walk, &a->entry);
  } else if (ok) {
    ok = suspect(m, c->id);
  }
  if (!ok)
    cfi_mirror_no_memory(m);
  return CHANGEFEED_CONTINUE;
}

static void pages_ended(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;
  bool ok = true;

  while (ok && a->walking) {
    ok = suspect(m, a->entry.id);
    a->walking = cfi_tree_next(&a->walk, &a->entry);
  }
  if (!ok) {
    cfi_mirror_no_memory(m);
    return;
  }
  cfi_tree_release(m->tree, a->view);
  a->view = NULL;
  a->step = CFI_AUDIT_AFTER;
}

/* ---- suspects are asked for ---- */

static void count(changefeed_audit *report, bool held, bool served) {
  if (!held)
    report->missing++;
  else if (!served)
    report->extra++;
  else
    report->stale++;
}

static int repair(changefeed_mirror *m, const changefeed_change *c,
                  changefeed_str held, changefeed_str served) {
  changefeed_str none = {NULL, 0};
  bool is_held = !cfi_str_same(held, nothing);
  bool is_served = !cfi_str_same(served, nothing);
  changefeed_difference d = {c->id, is_held ? held : none,
                             is_served ? served : none};
  int verdict;

  if (m->callbacks.on_difference != NULL) {
    m->depth++;
    m->callbacks.on_difference(m, &d, m->callbacks.user);
    m->depth--;
    if (m->closing)
      return CHANGEFEED_CONTINUE;
  }
  count(&m->audit.report, is_held, is_served);
  verdict = cfi_doubt_answer(m, c, d.held);
  if (verdict == CHANGEFEED_CONTINUE || verdict == CHANGEFEED_STOP) {
    m->audit.report.repaired++;
    m->stats.repairs++;
  }
  return verdict;
}

/* How often in a row both sides were seen as they are now. */
static unsigned times_seen(changefeed_str remembered, changefeed_str held,
                           changefeed_str served) {
  const char *text = remembered.data + 2;

  if (remembered.len != 2 + held.len + 1 + served.len ||
      memcmp(text, held.data, held.len) != 0 ||
      memcmp(text + held.len + 1, served.data, served.len) != 0)
    return 1;
  return (unsigned)(remembered.data[0] - '0') + 1;
}

static int forget(changefeed_mirror *m, changefeed_str id) {
  return cfi_tree_remove(m->audit.suspects, id) == CFI_TREE_NOMEM
             ? CHANGEFEED_LATER
             : CHANGEFEED_CONTINUE;
}

static int ask_row(changefeed_mirror *m, const changefeed_change *c) {
  bool deleted = (c->flags & CHANGEFEED_DELETED) != 0;
  cfi_tree_entry seen, entry;
  changefeed_str held, served;
  unsigned times;
  int verdict;

  if (!cfi_tree_find(m->audit.suspects, c->id, &seen))
    return CHANGEFEED_CONTINUE;
  held = cfi_mirror_find(m, c->id, &entry) ? entry.rev : nothing;
  served = c->rev_count != 0 && !deleted ? c->revs[0] : nothing;
  if (cfi_str_same(held, served))
    return forget(m, c->id);
  times = cfi_doubt_has(m, c->id) ? 0 : times_seen(seen.rev, held, served);
  if (times < CERTAIN)
    return remember(m, c->id, times, held, served) ? CHANGEFEED_CONTINUE
                                                   : CHANGEFEED_LATER;
  verdict = repair(m, c, held, served);
  if (verdict == CHANGEFEED_LATER || m->closing)
    return verdict;
  return forget(m, c->id) == CHANGEFEED_LATER ? CHANGEFEED_LATER : verdict;
}

static void ask_ended(changefeed_mirror *m) {
  m->audit.step = CFI_AUDIT_WAIT;
  m->audit.report.requests++;
}

/* The id behind the last one asked for is that with a '\0' behind it. */
static bool note_last(void *ctx, const cfi_tree_entry *e) {
  changefeed_mirror *m = ctx;

  cfi_buf_clear(&m->audit.last, SIZE_MAX);
  return cfi_buf_append(&m->audit.last, e->id.data, e->id.len + 1,
                        SIZE_MAX - 2) == CFI_BUF_OK;
}

static changefeed_str last_asked(const cfi_auditor *a) {
  changefeed_str last = {a->last.len != 0 ? cfi_buf_data(&a->last) : NULL,
                         a->last.len};

  return last;
}

static bool round_is_over(const changefeed_mirror *m) {
  cfi_tree_range rest = {last_asked(&m->audit), {NULL, 0}};
  cfi_tree_entry e;
  cfi_tree_walk walk;

  cfi_tree_walk_start(m->audit.suspects, rest, &walk);
  return !cfi_tree_next(&walk, &e);
}

/* The next some hundred of this round. */
static void ask(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;
  cfi_list_request request = {NULL, NULL, NULL, false};
  cfi_buf before = a->last;
  cfi_tree_range rest = {last_asked(a), {NULL, 0}};
  cfi_tree_walk walk;
  char *keys;

  cfi_tree_walk_start(a->suspects, rest, &walk);
  cfi_buf_init(&a->last, &m->alloc); /* rest is in the old one */
  keys = cfi_lister_keys(m, &walk, AT_ONCE, note_last, m);
  cfi_buf_free(&before);
  if (keys == NULL) {
    cfi_mirror_no_memory(m);
    return;
  }
  request.keys = keys;
  m->list.row = ask_row;
  m->list.ended = ask_ended;
  a->step = CFI_AUDIT_ASK;
  if (!cfi_lister_open(&m->list, &request))
    cfi_mirror_fail(m);
  cfi_free(&m->alloc, keys);
}

/* A connection that is dead and not known to be tells of no change: a third
   round waits for a byte that came since the first one, be it a heartbeat's,
   and has been read. */
static bool is_heard(const changefeed_mirror *m) {
  const cfi_auditor *a = &m->audit;
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  if (changefeed_get_state(m->feed) != CHANGEFEED_STATE_LIVE)
    return false;
  if (a->last.len != 0 || a->rounds + 1 < CERTAIN)
    return true;
  return changefeed_get_stats(m->feed, &s) == CHANGEFEED_OK &&
         s.queued_bytes == 0 && s.idle_ms >= 0 &&
         cfi_mirror_now(m) - s.idle_ms > a->round_ms[0];
}

static void go_on(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;

  if (cfi_tree_count(a->suspects) == 0) {
    finish(m, a->full ? CHANGEFEED_ERR_LIMIT : CHANGEFEED_OK);
  } else if (!is_heard(m)) {
    a->due_ms = cfi_mirror_now(m) + PAUSE_MS;
    if (++a->not_live > NOT_LIVE)
      finish(m, CHANGEFEED_TIMEOUT);
  } else if (!round_is_over(m)) {
    ask(m);
  } else if (++a->rounds >= ROUNDS) {
    finish(m, CHANGEFEED_TIMEOUT);
  } else {
    cfi_buf_clear(&a->last, 0);
    a->round_ms[0] = a->round_ms[1];
    a->round_ms[1] = cfi_mirror_now(m);
    a->due_ms = cfi_mirror_now(m) + PAUSE_MS;
  }
}

/* ---- the way ---- */

static void open_list(changefeed_mirror *m, bool position) {
  cfi_list_request request = {m->from, m->to, NULL, position};

  m->list.row = position ? no_row : page_row;
  m->list.ended = position ? position_ended : pages_ended;
  if (!cfi_lister_open(&m->list, &request))
    cfi_mirror_fail(m);
}

/* From here on what is held is looked at as it is now. */
static void begin_pages(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};

  cfi_mirror_publish(m);
  a->view = cfi_tree_acquire(m->tree);
  cfi_tree_view_walk(a->view, all, &a->walk);
  a->walking = cfi_tree_next(&a->walk, &a->entry);
  open_list(m, false);
}

static bool begins_by_itself(const changefeed_mirror *m) {
  return m->audit_ms != 0 && !m->filtered && m->phase == CFI_MIRROR_SYNCED &&
         cfi_mirror_now(m) >= m->audit.due_ms;
}

void cfi_audit_go_on(changefeed_mirror *m) {
  if (m->audit.step == CFI_AUDIT_NONE && begins_by_itself(m))
    (void)cfi_audit_begin(m);
  if (m->list.feed != NULL)
    return;
  switch (m->audit.step) {
  case CFI_AUDIT_BEFORE:
  case CFI_AUDIT_AFTER:
    open_list(m, true);
    break;
  case CFI_AUDIT_PAGES:
    begin_pages(m);
    break;
  case CFI_AUDIT_WAIT:
    if (cfi_mirror_now(m) >= m->audit.due_ms)
      go_on(m);
    break;
  case CFI_AUDIT_NONE:
  case CFI_AUDIT_ASK:
    break;
  }
}

int cfi_audit_begin(changefeed_mirror *m) {
  cfi_auditor *a = &m->audit;

  if (m->filtered)
    return CHANGEFEED_ERR_UNSUPPORTED;
  if (m->phase != CFI_MIRROR_SYNCED || a->step != CFI_AUDIT_NONE)
    return CHANGEFEED_ERR_STATE;
  memset(&a->report, 0, sizeof a->report);
  a->begun_ms = cfi_mirror_now(m);
  a->rounds = a->not_live = 0;
  a->full = false;
  cfi_buf_clear(&a->last, 0);
  a->step = CFI_AUDIT_BEFORE;
  m->stats.audits++;
  return CHANGEFEED_OK;
}

int64_t cfi_audit_due_ms(const changefeed_mirror *m) {
  const cfi_auditor *a = &m->audit;

  if (a->step == CFI_AUDIT_WAIT ||
      (a->step == CFI_AUDIT_NONE && m->audit_ms != 0 && !m->filtered &&
       m->phase == CFI_MIRROR_SYNCED))
    return a->due_ms;
  return a->step != CFI_AUDIT_NONE && m->list.feed == NULL ? 0 : CFI_NEVER;
}
