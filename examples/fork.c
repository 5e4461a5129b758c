/* A pre-forking daemon: the master follows until it has caught up, then forks
   workers, of which the first goes on following and the others serve. A child
   of a process with feeds calls changefeed_loop_abandon and nothing else with
   them: their connections are the master's. A child that dies is replaced.
     cc fork.c $(pkg-config --cflags --libs changefeed) -o fork
     ./fork http://127.0.0.1:5984/db /var/lib/me/db.position */
#include <changefeed/changefeed.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 4, FOLLOWER = 0 };

static const char *url;
static char *checkpoint; /* "file:" and a path */
static changefeed_loop *loop;
static changefeed *feed;
static pid_t children[CHILDREN];
static volatile sig_atomic_t stopped;
static int handoff[2]; /* its end tells the follower: the position is free */

static void on_signal(int number) {
  stopped = number;
  if (feed != NULL)
    changefeed_stop(feed);
}

/* Only for waking up. */
static void on_child(int number) { (void)number; }

static int give_up(const char *what) {
  fprintf(stderr, "fork: %s: %s\n", what, strerror(errno));
  return 1;
}

static int on_change(changefeed *self, const changefeed_change *change,
                     void *user) {
  (void)self;
  (void)user;
  if (printf("%s %s\n", change->id.data,
             change->flags & CHANGEFEED_DELETED ? "deleted" : "changed") < 0 ||
      fflush(stdout) != 0)
    return -1;
  return CHANGEFEED_CONTINUE;
}

/* The master's loop returns when all that is past has been read. */
static void on_state(changefeed *self, const changefeed_event *event,
                     void *user) {
  (void)self;
  if (event->state == CHANGEFEED_STATE_LIVE && user != NULL)
    changefeed_loop_stop(loop);
}

/* until_live: not NULL for the master. */
static int open_feed(void *until_live) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options = NULL;
  int rc = changefeed_options_new(&options);

  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.user = until_live;
  if (rc != CHANGEFEED_OK ||
      (rc = changefeed_loop_new(&loop, NULL)) != CHANGEFEED_OK)
    fprintf(stderr, "fork: %s\n", changefeed_strerror(rc));
  else if ((rc = changefeed_options_set(options, "url", url)) != 0 ||
           (rc = changefeed_options_set(options, "checkpoint", checkpoint)) !=
               0 ||
           (rc = changefeed_options_set_callbacks(options, &callbacks)) != 0 ||
           (rc = changefeed_open(&feed, loop, options)) != 0)
    fprintf(stderr, "fork: %s\n", changefeed_options_error(options));
  changefeed_options_free(options);
  return rc;
}

static void close_feed(void) {
  changefeed *closed = feed;

  feed = NULL;              /* no signal handler touches it any more */
  changefeed_close(closed); /* saves the position, and lets go of its lock */
  changefeed_loop_free(loop);
  loop = NULL;
}

/* Runs the loop; whether all is well. */
static int run(void) {
  int rc = changefeed_loop_run(loop);

  if (rc == CHANGEFEED_OK &&
      changefeed_get_state(feed) != CHANGEFEED_STATE_FAILED)
    return 1;
  fprintf(stderr, "fork: %s\n",
          rc < 0 ? changefeed_strerror(rc)
                 : changefeed_last_error(feed)->message);
  return 0;
}

static int follow(void) {
  int good;
  char byte;

  while (read(handoff[0], &byte, 1) < 0 && errno == EINTR) {
  }
  if (stopped)
    return 0;
  if (open_feed(NULL) != CHANGEFEED_OK)
    return 1;
  if (stopped)
    changefeed_stop(feed);
  good = run();
  close_feed();
  return good ? 0 : 1;
}

/* Stands for answering requests. The signals are blocked, so none is missed
   before it waits. */
static int serve(const sigset_t *open_mask) {
  while (!stopped)
    sigsuspend(open_mask);
  return 0;
}

/* Signals are blocked when it is called. */
static int start(int number, const sigset_t *open_mask) {
  pid_t pid = fork();

  if (pid != 0) {
    children[number] = pid;
    return pid > 0;
  }
  feed = NULL;
  changefeed_loop_abandon(loop); /* NULL later on, when there is none */
  loop = NULL;
  close(handoff[1]);
  if (number != FOLLOWER)
    _exit(serve(open_mask));
  sigprocmask(SIG_SETMASK, open_mask, NULL);
  _exit(follow());
}

static void tell_children(int number) {
  for (int i = 0; i < CHILDREN; i++)
    if (children[i] > 0)
      kill(children[i], number);
}

/* A child that was killed is replaced; one that gave up ends all of it. */
static int supervise(int left, const sigset_t *open_mask) {
  int told = 0, failed = 0;

  while (left > 0) {
    int status = 0, i = 0;
    pid_t pid;

    if (stopped && !told) {
      tell_children(SIGTERM);
      told = 1;
    }
    pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) {
      sigsuspend(open_mask); /* until SIGCHLD or the end */
      continue;
    }
    while (i < CHILDREN && children[i] != pid)
      i++;
    if (pid < 0 || i == CHILDREN)
      return give_up("waitpid");
    if (!stopped && WIFSIGNALED(status) && start(i, open_mask))
      continue;
    children[i] = 0;
    left--;
    if (!stopped || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      failed = 1;
      stopped = SIGTERM;
    }
  }
  return failed;
}

static int prefork(void) {
  struct sigaction stop = {.sa_handler = on_signal};
  struct sigaction child = {.sa_handler = on_child};
  sigset_t blocked, open_mask;
  int started = 0, failed;

  if (sigaction(SIGINT, &stop, NULL) != 0 ||
      sigaction(SIGTERM, &stop, NULL) != 0 ||
      sigaction(SIGCHLD, &child, NULL) != 0 || pipe(handoff) != 0) {
    close_feed();
    return give_up("signals or a pipe");
  }
  failed = !run();
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &open_mask);
  while (started < CHILDREN && !failed && !stopped)
    if (start(started, &open_mask))
      started++;
    else
      failed = give_up("a child");
  close_feed();
  close(handoff[1]); /* the follower may begin */
  if (failed)
    stopped = SIGTERM;
  return supervise(started, &open_mask) || failed;
}

int main(int argc, char **argv) {
  size_t size = argc == 3 ? sizeof "file:" + strlen(argv[2]) : 0;
  int status = 2;

  checkpoint = size > 0 ? malloc(size) : NULL;
  if (checkpoint == NULL) {
    fprintf(stderr, "fork URL POSITION-FILE\n");
    return 2;
  }
  (void)snprintf(checkpoint, size, "file:%s", argv[2]);
  url = argv[1];
  if (open_feed(&url) == CHANGEFEED_OK)
    status = prefork();
  else
    changefeed_loop_free(loop);
  free(checkpoint);
  return status;
}
