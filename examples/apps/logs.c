/* `apps logs`: the end of what an app has printed, and what comes. The server
   gives the last so many bytes; what of them is new is found here. */
#include "apps/call.h"
#include "apps/console.h"
#include "apps/tail.h"

#include <stdio.h>
#include <string.h>

enum { FOLLOW_MS = 1000, SLOW_MS = 5000, CALL_MS = 15000, PATH_SIZE = 160 };

/* To a terminal nothing that it would obey; into a file the bytes as they are.
 */
static void write_log(apps_run *run, const char *data, size_t len) {
  text clean = TEXT_INIT;

  if (run->json) {
    json_t *log = json_stringn(data, len);

    if (log == NULL) { /* not UTF-8: what can be shown of it */
      text_add(&clean, data, len);
      for (size_t i = 0; i < clean.len; i++)
        if ((clean.data[i] & 0x80) != 0)
          clean.data[i] = '?';
      log = json_stringn(text_get(&clean), clean.len);
    }
    apps_print_json(run,
                    json_pack("{s:s,s:o}", "app", run->operand, "log", log));
  } else {
    if (run->terminal)
      apps_clean(&clean, data, len, true);
    else
      text_add(&clean, data, len);
    (void)fwrite(text_get(&clean), 1, clean.len, stdout);
    (void)fflush(stdout);
  }
  text_free(&clean);
}

/* An answer of 2xx, or -1 as apps_call: retried as the run may wait. */
static bool fetch(apps_run *run, text *log, apps_answer *answer) {
  char path[PATH_SIZE], more[64];

  (void)snprintf(more, sizeof more, "/log?bytes=%lld",
                 (long long)config_number(run->config, "bytes"));
  answer->doubted = false;
  (void)apps_path(run, more, path, sizeof path);
  for (int tries = 1;; tries++) {
    int64_t again_ms;

    text_clear(log);
    (void)rest_get_text(run->rest, path, CALL_MS, log, &answer->reply);
    if (answer->reply.status == 200)
      return true;
    again_ms = apps_again_ms(run, &answer->reply, tries);
    if (again_ms < 0 || !apps_pause(run, again_ms))
      return false;
    rest_reply_free(&answer->reply);
  }
}

static bool show_new(apps_run *run, const text *seen, const text *now) {
  size_t known;
  bool lost;

  if (!apps_tail_known(text_get(seen), seen->len, text_get(now), now->len,
                       &known, &lost))
    return false;
  if (lost)
    apps_say(run, "Some of the log was not seen.");
  if (known < now->len)
    write_log(run, text_get(now) + known, now->len - known);
  return true;
}

/* Until it is interrupted, or the server does not answer any more. */
static int follow(apps_run *run, text *seen) {
  text now = TEXT_INIT, swap;
  apps_answer answer;
  int64_t pause_ms = FOLLOW_MS;
  int64_t patience_ms = run->deadline_ms - apps_now_ms();
  int status = -1;

  while (status < 0) {
    /* Each look has all the time again: following has no end of its own. */
    run->deadline_ms = apps_now_ms() + patience_ms;
    if (!apps_pause(run, apps_jitter(run, pause_ms)) || ferror(stdout) != 0) {
      status = EXIT_OTHER;
    } else if (!fetch(run, &now, &answer)) {
      status = apps_refused(run, &answer);
      apps_answer_free(&answer);
    } else {
      bool quiet = now.len == seen->len &&
                   memcmp(text_get(&now), text_get(seen), now.len) == 0;

      pause_ms =
          quiet && pause_ms < SLOW_MS ? pause_ms + FOLLOW_MS / 2 : FOLLOW_MS;
      if (!quiet && !show_new(run, seen, &now))
        status =
            apps_fail(run, EXIT_OTHER, NULL, "There is not enough memory.");
      swap = *seen;
      *seen = now;
      now = swap;
      apps_answer_free(&answer);
    }
  }
  text_free(&now);
  return status;
}

int apps_logs(apps_run *run) {
  text log = TEXT_INIT;
  apps_answer answer;
  int status = EXIT_LIVE;

  if (!fetch(run, &log, &answer)) {
    status = apps_refused(run, &answer);
    apps_answer_free(&answer);
  } else {
    apps_answer_free(&answer);
    write_log(run, text_get(&log), log.len);
    if (config_flag(run->config, "follow"))
      status = follow(run, &log);
  }
  text_free(&log);
  return status;
}
