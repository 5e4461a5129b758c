/* A daemon around a feed: a configuration file of the library's own options,
   secrets in files of their own, SIGHUP to read it again, SIGTERM to end, word
   to systemd, and numbers for Prometheus in a file (node_exporter's textfile
   collector). Rows go to stdout.
     cc daemon.c $(pkg-config --cflags --libs changefeed) -o daemon
     ./daemon /etc/me/daemon.conf
   The file has lines "option = value", and besides "metrics = PATH". For an
   option that is a secret, "password_file = PATH" reads it from there:
     url = https://db.example.org/orders
     checkpoint = file:/var/lib/me/orders.position
     username = me
     password_file = /etc/me/password */
#include <changefeed/changefeed.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 65536, TEXT = 16384, METRICS_MS = 1000 };

typedef struct config {
  changefeed_options *options;
  char metrics[4096]; /* "": none */
} config;

static const char *path;
static changefeed_loop *loop;
static changefeed *feed;
static config current;
static volatile sig_atomic_t ended, reload;

/* changefeed_loop_run returns, and main looks what is wanted. */
static void on_signal(int number) {
  if (number == SIGHUP)
    reload = 1;
  else
    ended = 1;
  changefeed_loop_stop(loop);
}

/* ---- systemd ---- */

/* What sd_notify(3) does, without its library: nothing outside systemd. */
static void notify(const char *state) {
  const char *name = getenv("NOTIFY_SOCKET");
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t len = name != NULL ? strlen(name) : 0;
  int fd;

  if (len == 0 || len >= sizeof to.sun_path)
    return;
  memcpy(to.sun_path, name, len);
  if (name[0] == '@')
    to.sun_path[0] = '\0';
  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 ||
      sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
    fprintf(stderr, "daemon: NOTIFY_SOCKET: %s\n", strerror(errno));
  if (fd >= 0)
    close(fd);
}

/* ---- the configuration ---- */

static const changefeed_option_info *find_option(const char *name, size_t len) {
  const changefeed_option_info *info;

  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    if (strlen(info->name) == len && strncmp(info->name, name, len) == 0)
      return info;
  return NULL;
}

/* The first line of a file, without its end. */
static int read_line(const char *file, char *line, size_t size) {
  FILE *f = fopen(file, "re");
  int good = f != NULL && fgets(line, (int)size, f) != NULL;

  if (!good)
    fprintf(stderr, "daemon: %s: %s\n", file,
            f == NULL || ferror(f) ? strerror(errno) : "is empty");
  else
    line[strcspn(line, "\r\n")] = '\0';
  if (f != NULL)
    fclose(f);
  return good;
}

static int set(config *c, const char *name, const char *value) {
  size_t len = strlen(name), stem = len > 5 ? len - 5 : 0;
  const changefeed_option_info *info = find_option(name, len);
  char secret[4096];
  int rc;

  if (strcmp(name, "metrics") == 0 && strlen(value) < sizeof c->metrics) {
    memcpy(c->metrics, value, strlen(value) + 1);
    return 1;
  }
  if (info == NULL && stem > 0 && strcmp(name + stem, "_file") == 0 &&
      (info = find_option(name, stem)) != NULL && info->secret) {
    if (!read_line(value, secret, sizeof secret))
      return 0;
    rc = changefeed_options_set(c->options, info->name, secret);
    explicit_bzero(secret, sizeof secret);
  } else if (info != NULL && info->kind == CHANGEFEED_OPTION_LIST) {
    rc = changefeed_options_add(c->options, name, value);
  } else {
    rc = changefeed_options_set(c->options, name, value);
  }
  if (rc != CHANGEFEED_OK)
    fprintf(stderr, "daemon: %s\n", changefeed_options_error(c->options));
  return rc == CHANGEFEED_OK;
}

/* Without blanks at both ends. */
static char *trim(char *text) {
  char *end = text + strlen(text);

  while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
    *--end = '\0';
  return text + strspn(text, " \t");
}

static int read_config(config *c, char *line) {
  FILE *f = fopen(path, "re");
  int good = f != NULL, number = 0;

  while (good && fgets(line, LINE, f) != NULL) {
    char *text = trim(line), *value = strchr(text, '=');

    number++;
    if (*text == '\0' || *text == '#')
      continue;
    good = value != NULL;
    if (good) {
      *value++ = '\0';
      good = set(c, trim(text), trim(value));
    }
    if (!good)
      fprintf(stderr, "daemon: %s: line %d cannot be used\n", path, number);
  }
  if (f == NULL || ferror(f)) {
    fprintf(stderr, "daemon: %s: %s\n", path, strerror(errno));
    good = 0;
  }
  if (f != NULL)
    fclose(f);
  return good;
}

/* ---- metrics ---- */

/* Who reads the file sees the old one or the new one, all of it. */
static int replace(const char *file, const char *text, size_t len) {
  char aside[sizeof current.metrics + 4];
  FILE *f;
  int good;

  (void)snprintf(aside, sizeof aside, "%s.new", file);
  f = fopen(aside, "we");
  good = f != NULL && fwrite(text, len, 1, f) == 1;
  if (f != NULL)
    good = fclose(f) == 0 && good;
  return good && rename(aside, file) == 0;
}

static void write_metrics(changefeed *self) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;
  const changefeed_stats *one = &stats;
  const char *name = changefeed_get_url(self); /* without credentials */
  char text[TEXT];
  size_t len;

  if (current.metrics[0] != '\0' &&
      (changefeed_get_stats(self, &stats) != CHANGEFEED_OK ||
       changefeed_stats_text(&one, &name, 1, text, sizeof text, &len) !=
           CHANGEFEED_OK ||
       !replace(current.metrics, text, len)))
    fprintf(stderr, "daemon: %s: %s\n", current.metrics, strerror(errno));
}

static void on_timer(changefeed *self, void *user) {
  (void)user;
  write_metrics(self);
  changefeed_set_timer(self, METRICS_MS);
}

/* ---- the feed ---- */

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

/* Ready is who has caught up. */
static void on_state(changefeed *self, const changefeed_event *event,
                     void *user) {
  char text[512];

  (void)self;
  (void)user;
  (void)snprintf(text, sizeof text, "%sSTATUS=%s%s%.400s",
                 event->state == CHANGEFEED_STATE_LIVE ? "READY=1\n" : "",
                 changefeed_state_name(event->state),
                 event->error != NULL ? ": " : "",
                 event->error != NULL ? event->error->message : "");
  notify(text);
}

static void on_log(changefeed *self, int level, const char *text, size_t len,
                   void *user) {
  (void)self;
  (void)len;
  (void)user;
  if (level <= CHANGEFEED_LOG_WARNING) /* the journal reads <3> and <4> */
    fprintf(stderr, "<%d>%s\n", level == CHANGEFEED_LOG_ERROR ? 3 : 4, text);
}

/* Reads the file and opens the feed. What is followed now is closed only when
   the file is right: its position cannot have two owners. */
static int load(void) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  config next = {.options = NULL};
  char *line = malloc(LINE);
  int good = line != NULL &&
             changefeed_options_new(&next.options) == CHANGEFEED_OK &&
             read_config(&next, line);

  free(line);
  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.on_log = on_log;
  callbacks.on_timer = on_timer;
  good = good && changefeed_options_set_callbacks(next.options, &callbacks) ==
                     CHANGEFEED_OK;
  if (good) {
    changefeed_close(feed); /* saves the position */
    feed = NULL;
    if (changefeed_open(&feed, loop, next.options) != CHANGEFEED_OK) {
      fprintf(stderr, "daemon: %s\n", changefeed_options_error(next.options));
      good = 0;
      if (current.options != NULL &&
          changefeed_open(&feed, loop, current.options) != CHANGEFEED_OK)
        feed = NULL; /* not even with what was right before */
    }
  }
  if (good) {
    changefeed_options_free(current.options);
    current = next;
  } else {
    changefeed_options_free(next.options);
  }
  if (feed != NULL)
    changefeed_set_timer(feed, 0);
  return good;
}

static void load_again(void) {
  struct timespec now;
  char text[64];

  clock_gettime(CLOCK_MONOTONIC, &now);
  (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  notify(text);
  if (!load())
    fprintf(stderr, "daemon: %s is not used\n", path);
  notify("READY=1");
}

/* Until the feed has ended; then whether that was wanted. */
static int run(void) {
  for (;;) {
    int rc = changefeed_loop_run(loop), state;

    if (rc != CHANGEFEED_OK) {
      fprintf(stderr, "daemon: %s\n", changefeed_strerror(rc));
      return 1;
    }
    if (ended) {
      notify("STOPPING=1");
      changefeed_stop(feed);
    } else if (reload) {
      reload = 0;
      load_again();
      if (feed == NULL)
        return 1;
    }
    state = changefeed_get_state(feed);
    if (state == CHANGEFEED_STATE_FAILED)
      fprintf(stderr, "daemon: %s\n", changefeed_last_error(feed)->message);
    if (state == CHANGEFEED_STATE_ENDED || state == CHANGEFEED_STATE_FAILED)
      return state == CHANGEFEED_STATE_FAILED;
  }
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_signal};
  int status = 2;

  if (argc != 2 || changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK) {
    fprintf(stderr, "daemon CONFIG-FILE\n");
    return 2;
  }
  path = argv[1];
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGTERM, &action, NULL) != 0 ||
      sigaction(SIGINT, &action, NULL) != 0 ||
      sigaction(SIGHUP, &action, NULL) != 0 ||
      signal(SIGPIPE, SIG_IGN) == SIG_ERR)
    perror("daemon: signals");
  else if (load()) {
    status = run();
    if (feed != NULL)
      write_metrics(feed);
  }
  action.sa_handler = SIG_IGN; /* the loop is about to go */
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGHUP, &action, NULL);
  changefeed_loop_free(loop); /* saves the position */
  changefeed_options_free(current.options);
  return status;
}
