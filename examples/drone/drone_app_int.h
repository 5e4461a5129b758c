/*
 * Between the parts of the app's module: drone_app.c (when it runs),
 * drone_app_run.c (one run of it).
 */
#ifndef DRONE_APP_INT_H
#define DRONE_APP_INT_H

#include "drone/drone_app.h"

enum { DRONE_CRASHES = 5, DRONE_APP_ADDRESS = 128 };

/* One run: from the fork to the keeper's end. Lives until its handles are
   closed. */
typedef struct drone_run_of_app {
  drone_app *app;
  uv_poll_t channel, output;
  int channel_fd, output_fd;
  int open; /* handles that are not closed */
  pid_t keeper, pid;
  bool told_exit;
} drone_run_of_app;

struct drone_app {
  uv_loop_t *loop;
  drone_app_config config;
  drone_output *output;
  const drone_record *record; /* NULL: nothing is to run */
  enum drone_app_state state;
  bool looping;     /* too many crashes, not healthy since */
  uv_timer_t timer; /* what for, says the state */
  drone_run_of_app *run;
  unsigned run_number; /* of the runs; a late probe is of an older one */
  unsigned probed;     /* the run that the probe under way is of; 0: none */
  int64_t probe_ms;    /* until the next one */
  char address[DRONE_APP_ADDRESS];
  int port;
  int64_t restarts, since, delay_ms;
  int exit;
  int64_t crashes[DRONE_CRASHES]; /* uv_now() of the last ones */
  size_t crash_count;
  void (*stopped)(void *ctx);
  void *stopped_ctx;
  void (*wiped)(void *ctx, int failed);
  void *wiped_ctx;
};

/* Forks; false with a sentence in the app's output and the log. */
bool drone_app_launch(drone_app *a);
/* The order to stop, to the keeper. */
void drone_app_order_stop(drone_app *a);
/* Everything of ours that lives is killed; what is left after ms. */
int drone_app_kill_rest(drone_app *a, int64_t ms);

/* Called by the run. */
void drone_app_on_exit(drone_app *a, int status);
void drone_app_on_over(drone_app *a);

#endif
