/*
 * How late rows are: the server writes the time into a row's id (see
 * feed_server.c), and this takes it from the time of the callback. By the
 * library, or by libcurl with nothing around it: each row is in one piece of
 * its own there, and its id is looked for in that.
 *
 *   latency --way library|libcurl --url URL-OF-DATABASE --rows N
 *
 * Prints "N P50 P99" in microseconds; a tenth more rows come before, and do not
 * count.
 */
#define _GNU_SOURCE

#include <changefeed/changefeed.h>
#include <curl/curl.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

typedef struct sample {
  double *us;
  size_t want, skip, count;
} sample;

/* True: that was the last one. id is ended by something that is no digit. */
static bool take(sample *s, const char *id) {
  int64_t late = bench_now_ns() - strtoll(id, NULL, 10);

  if (s->skip != 0) {
    s->skip--;
    return false;
  }
  if (s->count < s->want)
    s->us[s->count++] = (double)late / 1e3;
  return s->count == s->want;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

/* ---- the library ---- */

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  return take(user, change->id.data) ? CHANGEFEED_STOP : CHANGEFEED_CONTINUE;
}

static bool by_library(sample *s, const char *url) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options = NULL;
  changefeed_loop *loop = NULL;
  changefeed *feed = NULL;
  bool good;

  callbacks.on_change = on_change;
  callbacks.user = s;
  good = changefeed_options_new(&options) == 0 &&
         changefeed_options_set(options, "url", url) == 0 &&
         changefeed_options_set(options, "retry_min_ms", "10") == 0 &&
         changefeed_options_set(options, "repeat_cache", "0") == 0 &&
         changefeed_options_set_callbacks(options, &callbacks) == 0 &&
         changefeed_loop_new(&loop, NULL) == 0 &&
         changefeed_open(&feed, loop, options) == 0 &&
         changefeed_loop_run(loop) == 0 &&
         changefeed_get_state(feed) == CHANGEFEED_STATE_ENDED;
  if (!good && feed != NULL)
    (void)fprintf(stderr, "%s\n", changefeed_last_error(feed)->message);
  changefeed_close(feed);
  changefeed_loop_free(loop);
  changefeed_options_free(options);
  return good;
}

/* ---- libcurl ---- */

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  static const char mark[] = "\"id\":\"";
  size_t len = size * count;
  const char *id = memmem(data, len, mark, sizeof mark - 1);

  if (id == NULL) /* a heartbeat */
    return len;
  return take(user, id + sizeof mark - 1) ? 0 : len;
}

/* Ends by refusing bytes; asks again, at once, while it is not through. */
static bool by_libcurl(sample *s, const char *url) {
  CURL *easy = curl_easy_init();
  char target[512];
  bool good;

  (void)snprintf(target, sizeof target, "%s/_changes?feed=continuous&since=now",
                 url);
  good = easy != NULL &&
         curl_easy_setopt(easy, CURLOPT_URL, target) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, s) == CURLE_OK;
  while (good && s->count < s->want) {
    CURLcode rc = curl_easy_perform(easy);

    good = rc == CURLE_OK || rc == CURLE_WRITE_ERROR ||
           rc == CURLE_PARTIAL_FILE || rc == CURLE_RECV_ERROR;
  }
  curl_easy_cleanup(easy);
  return good;
}

int main(int argc, char **argv) {
  const char *way = "library", *url = NULL;
  sample s = {.want = 1000};
  bool good;

  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--way") == 0)
      way = argv[i + 1];
    else if (strcmp(argv[i], "--url") == 0)
      url = argv[i + 1];
    else if (strcmp(argv[i], "--rows") == 0)
      s.want = strtoul(argv[i + 1], NULL, 10);
  }
  s.skip = s.want / 10 + 1;
  s.us = s.want != 0 ? calloc(s.want, sizeof *s.us) : NULL;
  if (s.us == NULL || url == NULL ||
      curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return 2;
  good = (strcmp(way, "libcurl") == 0 ? by_libcurl : by_library)(&s, url) &&
         s.count == s.want;
  if (good) {
    qsort(s.us, s.want, sizeof *s.us, by_value);
    (void)printf("%zu %.1f %.1f\n", s.want, s.us[s.want / 2],
                 s.us[s.want * 99 / 100]);
  }
  free(s.us);
  curl_global_cleanup();
  return good ? 0 : 1;
}
