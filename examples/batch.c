/* Writes the changes of a database into SQLite, each exactly once: a batch of
   rows and the position behind them are one transaction, so that both are
   there, or neither. The position's store is a table beside the rows.
     cc batch.c $(pkg-config --cflags --libs changefeed sqlite3) -o batch
     ./batch http://127.0.0.1:5984/db changes.sqlite */
#include <changefeed/changefeed.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>

/* What a crash cannot do, a server may: tell a revision again, as clusters do
   when a node is replaced. times counts that. */
static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;" /* a commit that is lost is lost wholly */
    "CREATE TABLE IF NOT EXISTS changes (id TEXT, rev TEXT, deleted INTEGER,"
    " times INTEGER DEFAULT 1, PRIMARY KEY (id, rev)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS positions (key TEXT PRIMARY KEY, value BLOB);";

enum { BEGIN, COMMIT, ROLLBACK, INSERT, LOAD, SAVE, STATEMENTS };
static const char *const sql[STATEMENTS] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    ("INSERT INTO changes (id, rev, deleted) VALUES (?, ?, ?)"
     " ON CONFLICT DO UPDATE SET times = times + 1"),
    "SELECT value FROM positions WHERE key = ?",
    "INSERT OR REPLACE INTO positions (key, value) VALUES (?, ?)"};

static sqlite3 *db;
static sqlite3_stmt *statements[STATEMENTS];
static int broken; /* from then on nothing is saved any more */
static changefeed *feed;

static int give_up(void) {
  fprintf(stderr, "batch: SQLite: %s\n", sqlite3_errmsg(db));
  broken = 1;
  return -1;
}

static int run(int which) {
  int rc = sqlite3_step(statements[which]);

  if (rc != SQLITE_DONE)
    give_up();
  (void)sqlite3_reset(statements[which]); /* says again what step said */
  return rc == SQLITE_DONE ? 0 : -1;
}

static int bind_text(int which, int column, const char *text, size_t len) {
  return sqlite3_bind_text64(statements[which], column, text, len,
                             SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK
             ? 0
             : give_up();
}

static int insert(const changefeed_change *change) {
  changefeed_str rev = {"", 0};

  if (change->rev_count > 0)
    rev = change->revs[0];
  if (bind_text(INSERT, 1, change->id.data, change->id.len) != 0 ||
      bind_text(INSERT, 2, rev.data, rev.len) != 0)
    return -1;
  if (sqlite3_bind_int(statements[INSERT], 3,
                       (change->flags & CHANGEFEED_DELETED) != 0) != SQLITE_OK)
    return give_up();
  return run(INSERT);
}

/* The rows are acknowledged and the position saved inside the transaction: the
   call of changefeed_checkpoint comes back to save, below. */
static int on_batch(changefeed *self, const changefeed_change *const *changes,
                    size_t count, void *user) {
  int rc = run(BEGIN);

  (void)user;
  for (size_t i = 0; rc == 0 && i < count; i++)
    rc = insert(changes[i]);
  if (rc == 0)
    rc = changefeed_ack(self, changes[count - 1]->ordinal);
  if (rc == 0)
    rc = changefeed_checkpoint(self);
  if (rc == 0)
    rc = run(COMMIT);
  if (rc == 0)
    return CHANGEFEED_CONTINUE;
  broken = 1;
  if (sqlite3_get_autocommit(db) == 0)
    (void)run(ROLLBACK);
  return -1; /* the feed fails; another run begins where this one began */
}

/* ---- the store ---- */

static int load(void *ctx, const char *key,
                int (*put)(void *sink, const char *data, size_t len),
                void *sink) {
  sqlite3_stmt *s = statements[LOAD];
  int rc;

  (void)ctx;
  if (sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC) != SQLITE_OK)
    return give_up();
  rc = sqlite3_step(s);
  if (rc == SQLITE_ROW)
    rc = put(sink, sqlite3_column_blob(s, 0),
             (size_t)sqlite3_column_bytes(s, 0));
  else
    rc = rc == SQLITE_DONE ? 0 : give_up();
  (void)sqlite3_reset(s);
  return rc;
}

static int save(void *ctx, const char *key, const char *data, size_t len) {
  (void)ctx;
  if (broken)
    return -1; /* a position whose rows were taken back */
  if (sqlite3_bind_text(statements[SAVE], 1, key, -1, SQLITE_STATIC) !=
          SQLITE_OK ||
      sqlite3_bind_blob64(statements[SAVE], 2, data, len, SQLITE_STATIC) !=
          SQLITE_OK)
    return give_up();
  return run(SAVE);
}

/* ---- all of it ---- */

static void on_signal(int number) {
  (void)number;
  changefeed_stop(feed);
}

static int open_database(const char *path) {
  if (sqlite3_open(path, &db) != SQLITE_OK ||
      sqlite3_busy_timeout(db, 5000) != SQLITE_OK ||
      sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
    return give_up();
  for (int i = 0; i < STATEMENTS; i++)
    if (sqlite3_prepare_v2(db, sql[i], -1, &statements[i], NULL) != SQLITE_OK)
      return give_up();
  return 0;
}

static int open_feed(changefeed_loop *loop, const char *url) {
  static const char *const settings[][2] = {
      {"auto_ack", "0"},     /* on_batch does it */
      {"batch_max", "500"},  /* rows of one transaction */
      {"seq_interval", "1"}, /* so that every row has a position */
  };
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_store store = CHANGEFEED_STORE_INIT;
  changefeed_options *options;
  int rc = changefeed_options_new(&options);

  if (rc != CHANGEFEED_OK)
    return rc;
  callbacks.on_batch = on_batch;
  store.load = load;
  store.save = save;
  rc = changefeed_options_set(options, "url", url);
  for (size_t i = 0; rc == 0 && i < sizeof settings / sizeof *settings; i++)
    rc = changefeed_options_set(options, settings[i][0], settings[i][1]);
  if (rc != CHANGEFEED_OK ||
      (rc = changefeed_options_set_callbacks(options, &callbacks)) != 0 ||
      (rc = changefeed_options_set_store(options, &store)) != 0 ||
      (rc = changefeed_open(&feed, loop, options)) != 0)
    fprintf(stderr, "batch: %s\n", changefeed_options_error(options));
  changefeed_options_free(options);
  return rc;
}

static int follow(changefeed_loop *loop) {
  struct sigaction action = {.sa_handler = on_signal};
  int rc;

  if (sigaction(SIGINT, &action, NULL) != 0 ||
      sigaction(SIGTERM, &action, NULL) != 0) {
    perror("batch: sigaction");
    return 1;
  }
  rc = changefeed_loop_run(loop);
  (void)signal(SIGINT, SIG_DFL); /* the feed is about to go */
  (void)signal(SIGTERM, SIG_DFL);
  if (rc == CHANGEFEED_OK &&
      changefeed_get_state(feed) == CHANGEFEED_STATE_ENDED)
    return 0;
  fprintf(stderr, "batch: %s\n",
          rc < 0 ? changefeed_strerror(rc)
                 : changefeed_last_error(feed)->message);
  return 1;
}

int main(int argc, char **argv) {
  changefeed_loop *loop = NULL;
  int status = 2;

  if (argc != 3 || changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fprintf(stderr, "batch URL DATABASE-FILE\n");
  else if (open_database(argv[2]) == 0 && open_feed(loop, argv[1]) == 0)
    status = follow(loop);
  changefeed_loop_free(loop);
  for (int i = 0; i < STATEMENTS; i++)
    (void)sqlite3_finalize(statements[i]);
  if (sqlite3_close(db) != SQLITE_OK)
    status = 1;
  return status;
}
