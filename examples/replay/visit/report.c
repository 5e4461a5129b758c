/* Laws: which were broken, how often, and the first time in a sentence. */
#include "visit.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[VISIT_LAWS] = {"I5", "I6",  "I7",  "I8",
                                              "I9", "I10", "I13", "I16"};
const law_list visit_laws = {names, VISIT_LAWS};

static const char *const meaning[VISIT_LAWS] = {
    "an answer is the app's own, or a balancer's page",
    "quiet: all digests are the database's",
    "a change is at every balancer, or it is stale",
    "the database away: as before",
    "an app that exists is never unknown",
    "what is wanted is live through every balancer",
    "an app that is moved answers all the while",
    "gen never goes back in a balancer"};

void wrong(visit *v, enum visit_law law, const char *format, ...) {
  va_list args;
  (void)pthread_mutex_lock(&v->lock);
  if (v->broken[law]++ == 0) {
    va_start(args, format);
    (void)vsnprintf(v->first[law], sizeof v->first[law], format, args);
    va_end(args);
  }
  (void)pthread_mutex_unlock(&v->lock);
}

static void print_phase(const visit *v, const char *name, enum phase phase) {
  printf("     %-8s %4.1f s %7u by apps", name,
         (double)v->phase_ms[phase] / 1000, v->answered[phase]);
  for (unsigned code = 0; code < 100; code++)
    if (v->pages[phase][code])
      printf(", E%02u %u", code, v->pages[phase][code]);
  if (v->cut[phase])
    printf(", no answer %u", v->cut[phase]);
  printf("\n");
}

/* They are in order since they were judged. */
static void print_latencies(const visit *v) {
  size_t n = v->latency_count;
  if (n == 0)
    return;
  printf("     %zu changes while all was well: p50 %d ms, p99 %d ms, most %d "
         "ms\n",
         n, v->latencies[n / 2], v->latencies[(n * 99 - 1) / 100],
         v->latencies[n - 1]);
}

void report(const visit *v, bool ok) {
  printf("%-4s seed %llu%s%s: %u requests, %u apps moved, %u wishes, %u "
         "mayflies; killed %u "
         "balancers %u provisioners %u drones; %u feeds disturbed, %u times "
         "nodes away; settled in %.1f s\n",
         ok ? "ok" : "BAD", (unsigned long long)v->k.seed,
         v->o->naive ? " " : "", v->o->naive ? v->o->naive : "", v->asked,
         v->moves, v->wishes, v->mayflies, v->balancer_kills, v->prov_kills,
         v->drone_kills, v->disturbed, v->nodes_away, v->settle_s);
  if (v->o->haproxy)
    printf("     HAProxy in front of the drones, killed %u times\n",
           v->haproxy_kills);
  print_phase(v, "moving", PHASE_MOVING);
  print_phase(v, "trouble", PHASE_TROUBLE);
  print_phase(v, "away", PHASE_AWAY);
  print_latencies(v);
  for (unsigned law = 0; law < VISIT_LAWS; law++) {
    printf("     %-3s %-48s %8u checks, %u broken\n", names[law], meaning[law],
           v->checks[law], v->broken[law]);
    if (v->broken[law])
      printf("         %s\n", v->first[law]);
    if (law == V5_OWN && v->foreign)
      printf("         %u times it was another app's page\n", v->foreign);
  }
}
