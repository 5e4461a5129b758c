/* Prints every change of every database of a server: many http://127.0.0.1:5984
   One feed follows _db_updates for ever. A database has a feed only from the
   time it is named there until that has caught up; its position is kept for the
   next time. So thousands of databases that are idle cost no connection.
     cc many.c $(pkg-config --cflags --libs changefeed) -o many */
#include <changefeed/changefeed.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

typedef struct database {
  struct database *next;
  char *position; /* NULL: from the beginning */
  int open;       /* it has a feed now */
  int named;      /* and was named again meanwhile */
  char name[];
} database;

static const char *server;
static changefeed_loop *loop;
static changefeed_options *options;
static database *table[BUCKETS];
static int failed;

static void give_up(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  failed = 1;
  changefeed_loop_stop(loop);
}

static database *find(const char *name) {
  size_t size = strlen(name) + 1;
  unsigned hash = 5381;
  database *db, **bucket;

  for (const char *p = name; *p != '\0'; p++)
    hash = hash * 33 + (unsigned char)*p;
  bucket = &table[hash % BUCKETS];
  for (db = *bucket; db != NULL; db = db->next)
    if (strcmp(db->name, name) == 0)
      return db;
  db = calloc(1, sizeof *db + size);
  if (db == NULL)
    return NULL;
  memcpy(db->name, name, size);
  db->next = *bucket;
  return *bucket = db;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  const database *db = user;

  (void)feed;
  printf("%s %s %s\n", db->name, change->id.data,
         change->flags & CHANGEFEED_DELETED ? "deleted" : "changed");
  fflush(stdout);
  return CHANGEFEED_CONTINUE;
}

static void wake(database *db);

/* Caught up, or hopeless, as when the database was deleted. */
static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  database *db = user;
  changefeed_str position;

  if (event->state != CHANGEFEED_STATE_ENDED &&
      event->state != CHANGEFEED_STATE_FAILED)
    return;
  free(db->position);
  db->position = NULL;
  position = changefeed_position(feed);
  if (event->state == CHANGEFEED_STATE_FAILED)
    fprintf(stderr, "%s\n", event->error->message);
  else if (position.data != NULL && (db->position = malloc(position.len + 1)))
    memcpy(db->position, position.data, position.len + 1);
  changefeed_close(feed);
  db->open = 0;
  if (db->named)
    wake(db);
}

static char *url_of(const char *path) {
  char *url = malloc(strlen(server) + 3 * strlen(path) + 2), *p;

  if (url == NULL)
    return NULL;
  p = url + sprintf(url, "%s/", server);
  for (; *path != '\0'; path++) /* names of databases may hold / + $ ( ) */
    p += sprintf(p,
                 isalnum((unsigned char)*path) || strchr("_-", *path) != NULL
                     ? "%c"
                     : "%%%02X",
                 (unsigned char)*path);
  return url;
}

static int open_feed(const char *path, const char *mode, const char *since,
                     const changefeed_callbacks *callbacks) {
  char *url = url_of(path);
  changefeed *feed;
  int ok =
      url != NULL &&
      changefeed_options_set(options, "url", url) == CHANGEFEED_OK &&
      changefeed_options_set(options, "mode", mode) == CHANGEFEED_OK &&
      changefeed_options_set(options, "since", since) == CHANGEFEED_OK &&
      changefeed_options_set_callbacks(options, callbacks) == CHANGEFEED_OK &&
      changefeed_open(&feed, loop, options) == CHANGEFEED_OK;

  if (!ok)
    give_up(path, changefeed_options_error(options));
  free(url);
  return ok;
}

static void wake(database *db) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;

  db->named = db->open; /* what it asked may have been answered before */
  if (db->open)
    return;
  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.user = db;
  db->open = open_feed(db->name, "once",
                       db->position != NULL ? db->position : "0", &callbacks);
}

static int on_update(changefeed *feed, const changefeed_change *change,
                     void *user) {
  database *db;

  (void)feed;
  (void)user;
  if (change->id.data[0] == '_') /* the server's own */
    return CHANGEFEED_CONTINUE;
  db = find(change->id.data);
  if (db == NULL)
    give_up(change->id.data, "no memory");
  else
    wake(db);
  return CHANGEFEED_CONTINUE;
}

static void on_update_state(changefeed *feed, const changefeed_event *event,
                            void *user) {
  (void)user;
  if (event->state == CHANGEFEED_STATE_FAILED)
    give_up(changefeed_get_url(feed), event->error->message);
}

int main(int argc, char **argv) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;

  if (argc != 2 || changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK) {
    fprintf(stderr, "many URL-OF-A-SERVER\n");
    return 2;
  }
  server = argv[1];
  callbacks.on_change = on_update;
  callbacks.on_state = on_update_state;
  if (open_feed("_db_updates", "live", "0", &callbacks))
    changefeed_loop_run(loop);
  changefeed_loop_free(loop);
  changefeed_options_free(options);
  for (int i = 0; i < BUCKETS; i++)
    while (table[i] != NULL) {
      database *db = table[i];

      table[i] = db->next;
      free(db->position);
      free(db);
    }
  return failed;
}
