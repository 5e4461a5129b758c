/*
 * The nodes of a cluster: each may be down for a time, one may be a server of
 * its own. And what a server shows to those it does not know.
 */
#include <string.h>

#include "sim.h"

enum { AWAY_MS = 31000 }; /* longer than a server is trusted to be the same */

unsigned sim_node_of(const char *url) {
  const char *port = strstr(url, "127.0.0.1:");

  return port != NULL && port[13] >= '4' && port[13] < '4' + SIM_NODES
             ? (unsigned)(port[13] - '4')
             : 0;
}

unsigned sim_node_uuid(const sim *s, unsigned node) {
  return s->config.foreign_node != 0 && s->config.foreign_node == node;
}

bool sim_node_is_down(const sim *s, unsigned node) {
  return !s->healing && s->now_ms < s->down_until_ms[node];
}

static void cut(sim *s, sim_conn *c) {
  if (!c->open || c->done_at_ms != CFI_NEVER)
    return;
  c->done_at_ms = s->now_ms;
  c->outcome = CHANGEFEED_ERR_NETWORK;
}

void sim_node_goes_down(sim *s, unsigned node) {
  s->down_until_ms[node] = s->now_ms + sim_between(s, 100, 100000);
  sim_trail(s, "node %u goes down", node);
  if (s->conn.node == node)
    cut(s, &s->conn);
  if (s->side.node == node)
    cut(s, &s->side);
}

/* Started again with another secret: whoever was known is a stranger. For so
   long that nobody can take it for the server of a moment ago. */
void sim_server_restarts(sim *s) {
  if (s->now_ms + AWAY_MS > s->began_ms + s->config.faults_ms)
    return;
  s->cookie_valid_from = s->cookie_made;
  s->outage_until_ms = s->now_ms + AWAY_MS;
  s->outage_kind = 0;
  sim_trail(s, "the server starts again, and knows nobody");
  cut(s, &s->conn);
  cut(s, &s->side);
}

bool sim_node_hides(const sim_conn *c, unsigned doc) {
  return c->anonymous && doc % 2 == 1;
}
