/*
 * What a request is in for: mostly nothing, else one or two of the ways in
 * which servers, proxies and networks fail.
 */
#include "sim.h"

static const char *const odd_bodies[] = {
    "<html><body>Please log in</body></html>",
    "{}",
    "",
    "[]",
    "{\"ok\":true}",
    "null\n",
    "{\"results\":{}}",
    "\xff\xfe garbage \x01",
    "{\"error\":\"timeout\",\"reason\":\"no answer in time\"}\n",
};

static const int bad_statuses[] = {408, 412, 425, 429, 500, 502,
                                   503, 504, 404, 400, 301, 204};

static const char *const waits[] = {
    "0", "1", "5", "30", "x", "Wed, 21 Oct 2015 07:28:00 GMT", NULL};

static void fault_of_status(sim *s, sim_plan *p) {
  p->status =
      bad_statuses[sim_pick(s, sizeof bad_statuses / sizeof bad_statuses[0])];
  p->retry_after = waits[sim_pick(s, sizeof waits / sizeof waits[0])];
  /* 400 and 404 of a proxy have no word of CouchDB's; nor has a redirect. */
  p->body = sim_chance(s, 500) && p->status != 400
                ? "{\"error\":\"x\",\"reason\":\"y\"}\n"
                : odd_bodies[0];
}

/* One of the faults of a response that has begun. */
static void fault_of_body(sim *s, sim_plan *p) {
  switch (sim_pick(s, 10)) {
  case 0:
  case 1:
    p->cut_at = (uint64_t)sim_between(s, 0, 4000);
    p->cut_clean = sim_chance(s, 300);
    break;
  case 2:
    p->mute_at = (uint64_t)sim_between(s, 0, 4000);
    break;
  case 3:
    p->stall_rows = (unsigned)sim_between(s, 1, 20);
    break;
  case 4:
    p->error_rows = (unsigned)sim_between(s, 1, 20);
    break;
  case 5:
    p->end_rows = (unsigned)sim_between(s, 1, 20);
    break;
  case 6:
    p->end_after_ms = sim_chance(s, 500) ? 0 : sim_between(s, 1, 20000);
    break;
  case 7:
    p->rewind = (unsigned)sim_between(s, 1, 60);
    p->rewind_all = sim_chance(s, 200);
    p->show_old = sim_chance(s, 500);
    break;
  case 8:
    p->repeat = 300;
    break;
  default:
    p->hang = true;
    break;
  }
}

static void fault(sim *s, sim_plan *p) {
  switch (sim_pick(s, 10)) {
  case 0:
    p->connect_ms = CFI_NEVER;
    break;
  case 1: /* refused, or reset at once */
    p->cut_at = 0;
    p->head_ms = CFI_NEVER;
    break;
  case 2:
    p->head_ms = sim_chance(s, 300) ? CFI_NEVER : sim_between(s, 1, 100000);
    break;
  case 3:
    fault_of_status(s, p);
    break;
  case 4:
    p->body = odd_bodies[sim_pick(s, sizeof odd_bodies / sizeof odd_bodies[0])];
    break;
  default:
    fault_of_body(s, p);
    if (sim_chance(s, 300))
      fault_of_body(s, p);
    break;
  }
}

/* During an outage every request meets the same. */
static void outage(sim *s, sim_plan *p) {
  switch (s->outage_kind % 4) {
  case 0:
    p->cut_at = 0;
    p->head_ms = CFI_NEVER;
    break;
  case 1:
    p->status = 503;
    p->body = "{\"error\":\"nodedown\",\"reason\":\"progress not possible\"}";
    break;
  case 2: /* maintenance mode: every feed ends at once, in health */
    p->end_after_ms = 0;
    break;
  default:
    p->connect_ms = CFI_NEVER;
    break;
  }
}

/* What keeps a position from being saved, besides. */
static void fault_of_save(sim *s, sim_plan *p) {
  static const int statuses[] = {401, 403, 409, 500, 503};

  if (sim_chance(s, 500)) {
    p->cut_at = 0; /* without an answer */
    p->head_ms = CFI_NEVER;
  } else {
    p->status = statuses[sim_pick(s, sizeof statuses / sizeof statuses[0])];
    p->body = "{\"error\":\"x\",\"reason\":\"y\"}\n";
  }
  s->counts.save_faults++;
}

void sim_plan_request(sim *s, sim_conn *c) {
  sim_plan *p = &c->plan;

  *p = (sim_plan){.end_after_ms = CFI_NEVER};
  p->cut_at = p->mute_at = UINT64_MAX;
  p->connect_ms = sim_between(s, 0, 20);
  p->head_ms = sim_between(s, 0, 50);
  if (s->healing)
    return;
  p->hang = s->config.tail_hangs && sim_chance(s, 200);
  if (sim_node_is_down(s, c->node)) {
    p->cut_at = 0;
    p->head_ms = CFI_NEVER;
    return;
  }
  if (s->now_ms < s->outage_until_ms)
    outage(s, p);
  else if (sim_chance(s, s->config.fault))
    fault(s, p);
  else if (c->ask == CFI_ASK_SAVE && sim_chance(s, s->config.save_fault))
    fault_of_save(s, p);
  /* Who knows servers apart has to be told, or not to be answered. */
  if (s->config.foreign_node != 0 && c->ask == CFI_ASK_SERVER &&
      (p->status != 0 || p->body != NULL))
    p->status = 503;
}
