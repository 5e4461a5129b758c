/*
 * The drone's children; see drone_child.h.
 */
#include "drone/drone_child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { WATCHED = 4 };

typedef struct watched {
  pid_t pid; /* 0: free */
  void (*ended)(void *ctx, int status);
  void *ctx;
} watched;

struct drone_children {
  uv_signal_t signal;
  watched all[WATCHED];
};

static void on_child(uv_signal_t *s, int number) {
  drone_children *c = s->data;
  int status, i;
  pid_t pid;

  (void)number;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0 ||
         (pid < 0 && errno == EINTR)) {
    for (i = 0; pid > 0 && i < WATCHED; i++) {
      watched w = c->all[i];

      if (w.pid != pid)
        continue;
      c->all[i].pid = 0;
      w.ended(w.ctx, status);
      break;
    }
  }
}

drone_children *drone_children_new(uv_loop_t *loop) {
  drone_children *c = calloc(1, sizeof *c);

  if (c == NULL)
    return NULL;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
      uv_signal_init(loop, &c->signal) != 0) {
    free(c);
    return NULL;
  }
  c->signal.data = c;
  (void)uv_signal_start(&c->signal, on_child, SIGCHLD);
  return c;
}

void drone_children_close(drone_children *c) {
  if (!uv_is_closing((uv_handle_t *)&c->signal))
    uv_close((uv_handle_t *)&c->signal, NULL);
}

void drone_children_free(drone_children *c) { free(c); }

bool drone_children_watch(drone_children *c, pid_t pid,
                          void (*ended)(void *ctx, int status), void *ctx) {
  int i;

  for (i = 0; i < WATCHED; i++) {
    if (c->all[i].pid != 0)
      continue;
    c->all[i] = (watched){pid, ended, ctx};
    return true;
  }
  return false;
}
