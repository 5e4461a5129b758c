/* What the files of story.c share. */
#ifndef REPLAY_STORY_INT_H
#define REPLAY_STORY_INT_H

#include "replay/story.h"
#include <pthread.h>

enum { STORY_NAME = 64, STORY_THROUGH = 8 };

typedef struct told {
  int64_t at_ms;
  enum story_kind kind;
  char sentence[STORY_SENTENCE];
} told;

/* Visitors of one site who got another one's within a minute. */
typedef struct mistaken {
  unsigned minute, count;
  unsigned through; /* bits: places among the balancers' names */
  char app[STORY_NAME], owner[STORY_NAME];
} mistaken;

struct story {
  char title[STORY_SENTENCE], minute_name[STORY_NAME];
  int64_t ms_per_minute;
  unsigned begins_at;
  pthread_mutex_t lock;
  told *events;
  size_t event_count, lost_events;
  mistaken *pairs;
  size_t pair_count;
  uint64_t visits, lost_visits; /* mistaken ones, and those without a pair */
  char through[STORY_THROUGH][STORY_NAME];
  unsigned through_count;
};

/* The last minute counts for what is later. */
unsigned story_minute(const story *s, int64_t at_ms);

#endif
