/* That Friday: what went wrong in 2013 goes wrong again, in programs that work
 * as those did, and is told minute by minute; then the same load on the
 * programs as they are. Fine is that the first break what broke that day, and
 * the second nothing. */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>

enum { MINUTE_MS = 2000, BEGINS_AT = 14 * 60 };

static const char provisioners[] = "claim2xx,emptypool,nocoalesce";
static const char balancers[] = "feed,noguard";
/* Somebody else's site was seen; several were told one address. */
static const char must[] = "I4,I5,I11,I12";

static bool is_as_it_was(unsigned broken) {
  unsigned all = laws_named(replay_laws, must, false);
  if ((broken & all) == all)
    return true;
  (void)printf("the naive programs did not break all of %s\n", must);
  return false;
}

static story *open_story(void) {
  story *s = story_new(&(story_config){
      .title = "Friday, 2013: users' scripts, an empty pool, somebody else's "
               "site",
      .ms_per_minute = MINUTE_MS,
      .begins_at = BEGINS_AT,
      .minute_name = "that Friday"});
  if (!s)
    exit(3);
  return s;
}

/* Both have the same sizes, steps and seed. */
static void plan_both(const replay_options *o, plan *naive, plan *real) {
  plan_usual(real, o);
  *naive = *real;
  naive->title = "the programs of that Friday";
  naive->provisioners = provisioners;
  naive->balancers = balancers;
  naive->drone = "noguard";
  naive->calm_ms = 10000;
}

int incident(const replay_options *o, uint64_t seed) {
  story *s = open_story();
  unsigned broken[2] = {0, 0};
  replay *runs[2];
  plan naive, real;
  text told = TEXT_INIT;
  plan_both(o, &naive, &real);
  runs[0] = replay_run(o, &naive, seed, s, &broken[0]);
  timeline_data *data = timeline_take(runs[0]->t);
  story_write(s, data, STORY_TEXT, &told);
  (void)fputs(told.data ? told.data : "", stdout);
  replay_print(runs[0]);
  runs[1] = replay_run(o, &real, seed, NULL, &broken[1]);
  replay_print(runs[1]);
  bool clean = report_is_clean(runs[1]->report);
  bool fine = is_as_it_was(broken[0]) && clean;
  fine = replay_files(runs, 2, s, o->out) && fine;
  replay_free(runs[0], true);
  replay_free(runs[1], clean);
  free(data);
  text_free(&told);
  story_free(s);
  return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
