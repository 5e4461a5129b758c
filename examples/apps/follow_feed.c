/* The routes of all apps, or of one, as the database has them: a mirror that
   libchangefeed keeps in step. Each route that is new or other is a line, and
   each that is gone; a restart of the database, or a list that is read anew, is
   none. */
#include "apps/console.h"
#include "apps/follow.h"
#include "apps/rows.h"

#include <changefeed/mirror.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { STALE_MS = 15000 };

typedef struct feed {
  apps_run *run;
  size_t skip; /* bytes of an id before the app's name */
  int status;
} feed;

static changefeed_mirror *volatile followed; /* for the signal */

static void on_signal(int number) {
  (void)number;
  /* The header says that it may be called here.
     NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
  (void)changefeed_mirror_stop(followed);
}

static const char *name_of(const feed *f, const changefeed_entry *entry) {
  return entry->id.len > f->skip ? entry->id.data + f->skip : "";
}

/* A prefix finds "shop-2" too when "shop" is wanted. */
static bool is_wanted(const feed *f, const changefeed_entry *entry) {
  return f->run->operand == NULL ||
         strcmp(name_of(f, entry), f->run->operand) == 0;
}

static void show(const feed *f, const changefeed_entry *entry,
                 const json_t *route, const char *state) {
  char stamp[16];
  apps_row row;

  apps_row_of_route(route, &row);
  if (*row.app == '\0')
    row.app = name_of(f, entry);
  if (state != NULL)
    row.state = state;
  apps_row_print(f->run, &row, apps_follow_stamp(f->run, stamp, sizeof stamp));
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void **value, void *user) {
  feed *f = user;
  json_t *route;

  (void)mirror;
  (void)value;
  if (!is_wanted(f, entry))
    return CHANGEFEED_CONTINUE;
  route = json_loadb(entry->doc.data, entry->doc.len, JSON_ALLOW_NUL, NULL);
  show(f, entry, route, json_is_object(route) ? NULL : "unreadable");
  json_decref(route);
  return ferror(stdout) != 0 ? CHANGEFEED_STOP : CHANGEFEED_CONTINUE;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *entry,
                    void *user) {
  feed *f = user;

  (void)mirror;
  if (is_wanted(f, entry))
    show(f, entry, NULL, "gone");
}

static void on_stale(changefeed_mirror *mirror, int64_t ms, void *user) {
  feed *f = user;

  (void)mirror;
  apps_say(f->run, "Nothing was heard of the database for %lld s.",
           (long long)(ms / 1000));
}

static void on_fresh(changefeed_mirror *mirror, void *user) {
  feed *f = user;

  (void)mirror;
  apps_say(f->run, "The database is heard again.");
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  feed *f = user;

  (void)mirror;
  f->status = error == NULL ? EXIT_LIVE
                            : apps_fail(f->run, EXIT_OTHER, "database", "%s",
                                        error->message);
}

/* The database's URL: the server's and its name. A query would end up behind.
 */
static bool set_url(changefeed_options *options, const apps_run *run,
                    const char *couch) {
  text url = TEXT_INIT;
  size_t len = strlen(couch);
  bool done;

  while (len != 0 && couch[len - 1] == '/')
    len--;
  text_add(&url, couch, len);
  text_printf(&url, "/%s", config_string(run->config, "couch-db"));
  done = !url.failed && changefeed_options_set(options, "url",
                                               text_get(&url)) == CHANGEFEED_OK;
  if (url.data != NULL)
    explicit_bzero(url.data, url.len); /* may have a password in it */
  text_free(&url);
  return done;
}

static int run_loop(feed *f, changefeed_loop *loop, changefeed_mirror *mirror) {
  struct sigaction act = {.sa_handler = on_signal}, before[2];

  followed = mirror;
  (void)sigaction(SIGINT, &act, &before[0]);
  (void)sigaction(SIGTERM, &act, &before[1]);
  while (f->status < 0)
    if (changefeed_loop_run_once(loop, -1) < 0)
      f->status = apps_fail(f->run, EXIT_OTHER, NULL,
                            "The database cannot be followed any more.");
  (void)sigaction(SIGINT, &before[0], NULL);
  (void)sigaction(SIGTERM, &before[1], NULL);
  return f->status;
}

int apps_follow_feed(apps_run *run, const char *couch) {
  changefeed_mirror_config what = CHANGEFEED_MIRROR_CONFIG_INIT;
  feed f = {run, strlen("route:"), -1};
  changefeed_options *options = NULL;
  changefeed_mirror *mirror = NULL;
  changefeed_loop *loop = NULL;
  text prefix = TEXT_INIT;
  int status = EXIT_OTHER;

  text_printf(&prefix, "route:%s", run->operand != NULL ? run->operand : "");
  what.keep = CHANGEFEED_KEEP_DOCS;
  what.prefix = text_get(&prefix);
  what.stale_ms = STALE_MS;
  what.callbacks.on_put = on_put;
  what.callbacks.on_gone = on_gone;
  what.callbacks.on_stale = on_stale;
  what.callbacks.on_fresh = on_fresh;
  what.callbacks.on_over = on_over;
  what.callbacks.user = &f;
  if (changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    status = apps_fail(run, EXIT_OTHER, NULL, "There is not enough memory.");
  else if (!set_url(options, run, couch) ||
           changefeed_mirror_open(&mirror, loop, options, &what) !=
               CHANGEFEED_OK)
    status = apps_fail(run, EXIT_USAGE, NULL, "--couch: %s",
                       changefeed_options_error(options));
  else
    status = run_loop(&f, loop, mirror);
  changefeed_mirror_close(mirror);
  changefeed_loop_free(loop);
  changefeed_options_free(options);
  text_free(&prefix);
  return status;
}
