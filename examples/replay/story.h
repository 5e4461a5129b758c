/* The story of a run, minute by minute: what happened, who did it, and who saw
   whose site. A replay is short, so a stretch of it stands for a minute; how
   long that is, the story says at its top. Any thread may tell; memory is
   bounded, and what found no room is counted and said. */
#ifndef REPLAY_STORY_H
#define REPLAY_STORY_H

#include "replay/timeline.h"

enum {
  STORY_MINUTES_MOST = 24 * 60,
  STORY_EVENTS_MOST = 1024,
  STORY_PAIRS_MOST = 4096, /* app and owner within one minute, in all */
  STORY_SENTENCE = 240     /* bytes of an event, with the zero */
};

typedef struct story story;

typedef struct story_config {
  const char *title;       /* "Friday, 2013: ..." */
  int64_t ms_per_minute;   /* of the run; 100 or more; 0: 1000 */
  unsigned begins_at;      /* the run's begin on the story's clock, in minutes
                              since midnight, below 1440 */
  const char *minute_name; /* what a minute is a minute of, as in "one minute of
                              that Friday"; NULL: "of that day" */
} story_config;

/* NULL: no memory, or a number that is out of its range. */
story *story_new(const story_config *config);
void story_free(story *s);

enum story_kind {
  STORY_SAID, /* what somebody did or was told */
  STORY_WRONG /* what should not have happened: set off in the text */
};

/* A sentence with its full stop, of one line; times are the run's, in ms. NULL
   for s: nothing happens, here and below. */
void story_event(story *s, int64_t at_ms, enum story_kind kind,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A visitor of one app's site got another one's: counted for its minute, and
   told as "37 visitors of shop-12 saw blog-4's site (through b2)". */
void story_visit(story *s, int64_t at_ms, const char *app, const char *owner,
                 const char *balancer);

enum story_form { STORY_TEXT, STORY_MARKDOWN };

/* Minutes in which nothing happened are told together. data: the run's
   timeline, for how many visitors there were and what they got; or NULL. */
void story_write(story *s, const timeline_data *data, enum story_form form,
                 text *out);

#endif
