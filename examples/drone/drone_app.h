/*
 * The app of the claim that is held: started, watched until it takes
 * connections, started again when it ends, stopped with all that belongs to it.
 * Everything on the loop's thread.
 */
#ifndef DRONE_APP_H
#define DRONE_APP_H

#include "drone/drone_child.h"
#include "drone/drone_output.h"
#include "drone/drone_store.h"
#include <uv.h>

typedef struct drone_app drone_app;

enum drone_app_state {
  DRONE_APP_NONE,
  DRONE_APP_STARTING,  /* runs, takes no connection yet */
  DRONE_APP_RUNNING,   /* takes connections */
  DRONE_APP_BACKOFF,   /* has ended, is started again soon */
  DRONE_APP_CRASHLOOP, /* ended five times in five minutes; tried once a minute
                        */
  DRONE_APP_STOPPING,
  DRONE_APP_EXITED /* has ended, what it left is being ended */
};

typedef struct drone_app_config {
  drone_store *store;
  drone_children *children;
  int64_t memory_mb, files, processes, file_mb; /* limits; 0: none */
  int64_t stop_ms;                              /* SIGTERM to SIGKILL */
  int port_low, port_high; /* of its private port; 0: the system chooses */
  bool by_socket;          /* a unix socket instead */
  int64_t log_bytes;
  int log_files;
} drone_app_config;

drone_app *drone_app_new(uv_loop_t *loop, const drone_app_config *config);
void drone_app_close(drone_app *a); /* when stopped; before the last run */
void drone_app_free(drone_app *a);

/* Ends what a last life left and empties the directories of all claims but the
   one that is held (NULL: none). False with a sentence: something goes on
   living or cannot be removed. Blocks. */
bool drone_app_clean(drone_app *a, const char *held, char *error,
                     size_t error_size);
/* record: with a claim and a command; stays valid until the app is stopped. */
void drone_app_run(drone_app *a, const drone_record *record);
/* done is called when not one process is left: at once or later. */
void drone_app_stop(drone_app *a, void (*done)(void *ctx), void *ctx);
/* Removes what the claim's app wrote, output too; only when stopped. done gets
   0 or an errno, later. */
void drone_app_wipe(drone_app *a, void (*done)(void *ctx, int failed),
                    void *ctx);

enum drone_app_state drone_app_now(const drone_app *a);
const char *drone_app_state_name(enum drone_app_state state);
/* "127.0.0.1:PORT" or "unix:PATH" while it takes connections, else NULL. */
const char *drone_app_address(const drone_app *a);
pid_t drone_app_pid(const drone_app *a); /* 0: none runs */
int64_t drone_app_restarts(const drone_app *a);
int drone_app_exit(const drone_app *a);      /* -1: has not ended yet */
int64_t drone_app_since(const drone_app *a); /* ms since 1970 */
const drone_output *drone_app_output(const drone_app *a);

#endif
