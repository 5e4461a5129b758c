/* The story as it is told; how it is written is in story_write.c. See story.h.
 */
#include "replay/story_int.h"

#include "common/escape.h"
#include <stdarg.h>
#include <stdlib.h>

enum { LEAST_MS_PER_MINUTE = 100 };

story *story_new(const story_config *config) {
  int64_t ms = config->ms_per_minute != 0 ? config->ms_per_minute : 1000;
  story *s;

  if (ms < LEAST_MS_PER_MINUTE || config->begins_at >= 24 * 60)
    return NULL;
  s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->events = calloc(STORY_EVENTS_MOST, sizeof *s->events);
  s->pairs = calloc(STORY_PAIRS_MOST, sizeof *s->pairs);
  if (s->events == NULL || s->pairs == NULL ||
      pthread_mutex_init(&s->lock, NULL) != 0) {
    free(s->events);
    free(s->pairs);
    free(s);
    return NULL;
  }
  s->ms_per_minute = ms;
  s->begins_at = config->begins_at;
  escape_copy(s->title, sizeof s->title, config->title);
  escape_copy(s->minute_name, sizeof s->minute_name,
              config->minute_name != NULL ? config->minute_name
                                          : "of that day");
  return s;
}

void story_free(story *s) {
  if (s == NULL)
    return;
  (void)pthread_mutex_destroy(&s->lock);
  free(s->events);
  free(s->pairs);
  free(s);
}

unsigned story_minute(const story *s, int64_t at_ms) {
  int64_t minute = at_ms > 0 ? at_ms / s->ms_per_minute : 0;

  return minute < STORY_MINUTES_MOST ? (unsigned)minute
                                     : STORY_MINUTES_MOST - 1;
}

void story_event(story *s, int64_t at_ms, enum story_kind kind,
                 const char *format, ...) {
  text sentence = TEXT_INIT;
  va_list args;

  if (s == NULL)
    return;
  va_start(args, format);
  text_vprintf(&sentence, format, args);
  va_end(args);
  (void)pthread_mutex_lock(&s->lock);
  if (s->event_count == STORY_EVENTS_MOST || sentence.failed) {
    s->lost_events++;
  } else {
    told *event = &s->events[s->event_count++];

    event->at_ms = at_ms > 0 ? at_ms : 0;
    event->kind = kind;
    escape_copy(event->sentence, sizeof event->sentence, text_get(&sentence));
  }
  (void)pthread_mutex_unlock(&s->lock);
  text_free(&sentence);
}

/* ---- who saw whose site ---- */

/* Its bit; 0: there are too many names. */
static unsigned through_bit(story *s, const char *balancer) {
  unsigned i = 0;

  while (i < s->through_count && strcmp(s->through[i], balancer) != 0)
    i++;
  if (i == STORY_THROUGH)
    return 0;
  if (i == s->through_count)
    (void)memcpy(s->through[s->through_count++], balancer,
                 strlen(balancer) + 1);
  return 1u << i;
}

static mistaken *pair_of(story *s, unsigned minute, const char *app,
                         const char *owner) {
  mistaken *pair;

  for (size_t i = s->pair_count; i-- != 0;) {
    pair = &s->pairs[i];
    if (pair->minute == minute && strcmp(pair->app, app) == 0 &&
        strcmp(pair->owner, owner) == 0)
      return pair;
  }
  if (s->pair_count == STORY_PAIRS_MOST)
    return NULL;
  pair = &s->pairs[s->pair_count++];
  pair->minute = minute;
  (void)memcpy(pair->app, app, strlen(app) + 1);
  (void)memcpy(pair->owner, owner, strlen(owner) + 1);
  return pair;
}

void story_visit(story *s, int64_t at_ms, const char *app, const char *owner,
                 const char *balancer) {
  char names[3][STORY_NAME];
  mistaken *pair;

  if (s == NULL)
    return;
  escape_copy(names[0], sizeof names[0], app);
  escape_copy(names[1], sizeof names[1], owner);
  escape_copy(names[2], sizeof names[2], balancer);
  (void)pthread_mutex_lock(&s->lock);
  s->visits++;
  pair = pair_of(s, story_minute(s, at_ms), names[0], names[1]);
  if (pair == NULL) {
    s->lost_visits++;
  } else {
    pair->count++;
    pair->through |= through_bit(s, names[2]);
  }
  (void)pthread_mutex_unlock(&s->lock);
}
