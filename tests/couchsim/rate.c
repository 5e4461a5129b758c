/*
 * The rate of requests, told from outside: each request takes a token that
 * comes back in a second, and at once when it is known that the request was
 * worth it: it has led on, or has saved a position.
 */
#include "sim.h"

enum { BURST = 5, TOKEN_MS = 1000 };

void sim_rate_clear(sim *s) {
  s->rate_ms = 0;
  s->asked = 0;
}

static void take_token(sim *s) {
  if (s->rate_ms < s->now_ms)
    s->rate_ms = s->now_ms;
  s->rate_ms += TOKEN_MS;
  if (s->rate_ms - s->now_ms > BURST * TOKEN_MS)
    sim_violate(s, "more unproductive requests than %d and one a second",
                BURST);
}

void sim_rate_ask(sim *s, bool of_response) {
  take_token(s);
  s->asked += of_response;
}

void sim_rate_worth(sim *s) { s->rate_ms -= TOKEN_MS; }

void sim_rate_response(sim *s, bool worth) {
  for (; s->asked != 0; s->asked--)
    if (worth)
      sim_rate_worth(s);
}
