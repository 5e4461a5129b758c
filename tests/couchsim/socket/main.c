/*
 * couchsim: a simulated CouchDB as a program; see README.md.
 */
#include "front.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number) { stopped = number; }

typedef struct options {
  uint64_t seed;
  int64_t port, control_port, nodes, q, n;
  const char *port_file, *user[COUCH_USERS];
  bool admin[COUCH_USERS], public_dbs, with_parent;
  size_t users;
} options;

static const char usage[] =
    "usage: couchsim [OPTION]...\n"
    "A simulated CouchDB on the loopback, with faults to order.\n"
    "  --port N           of the first node, the others follow; 0: any\n"
    "  --control-port N   of the control interface; 0: any\n"
    "  --port-file FILE   where to write the URLs, a line each\n"
    "  --nodes N          nodes of the cluster, 1 to 8 (1)\n"
    "  --q N              shards of a database, 1 to 16 (2)\n"
    "  --n N              copies of a shard (3, at most as many as nodes)\n"
    "  --admin NAME:PASS  an admin; without one everybody is\n"
    "  --user NAME:PASS   a user who is no admin\n"
    "  --public           new databases are open to everybody\n"
    "  --seed N           of all that is random (1)\n"
    "  --with-parent      end when the parent process does\n";

static bool number(const char *text, int64_t low, int64_t high, int64_t *out) {
  return couch_to_int(text, out) && *out >= low && *out <= high;
}

static bool add_user(options *o, const char *text, bool admin) {
  const char *colon = strchr(text, ':');
  if (colon == NULL || colon == text || o->users == COUCH_USERS)
    return false;
  o->user[o->users] = text;
  o->admin[o->users++] = admin;
  return true;
}

static bool take(options *o, const char *name, const char *value) {
  int64_t seed;
  if (strcmp(name, "--port") == 0)
    return number(value, 0, 65535, &o->port);
  if (strcmp(name, "--control-port") == 0)
    return number(value, 0, 65535, &o->control_port);
  if (strcmp(name, "--nodes") == 0)
    return number(value, 1, COUCH_NODES, &o->nodes);
  if (strcmp(name, "--q") == 0)
    return number(value, 1, COUCH_Q_MAX, &o->q);
  if (strcmp(name, "--n") == 0)
    return number(value, 1, COUCH_NODES, &o->n);
  if (strcmp(name, "--admin") == 0)
    return add_user(o, value, true);
  if (strcmp(name, "--user") == 0)
    return add_user(o, value, false);
  if (strcmp(name, "--port-file") == 0) {
    o->port_file = value;
    return true;
  }
  if (strcmp(name, "--seed") != 0 || !number(value, 0, INT64_MAX, &seed))
    return false;
  o->seed = (uint64_t)seed;
  return true;
}

static bool read_options(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--public") == 0) {
      o->public_dbs = true;
    } else if (strcmp(argv[i], "--with-parent") == 0) {
      o->with_parent = true;
    } else if (i + 1 < argc && take(o, argv[i], argv[i + 1])) {
      i++;
    } else {
      (void)fprintf(stderr, "couchsim: cannot take %s%s%s\n%s", argv[i],
                    i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "",
                    usage);
      return false;
    }
  }
  return true;
}

static void add_users(couch_world *w, const options *o) {
  for (size_t i = 0; i < o->users; i++) {
    char *name = couch_dup(o->user[i]), *colon = strchr(name, ':');
    *colon = '\0';
    (void)couch_world_add_user(w, name, colon + 1, o->admin[i]);
    free(name);
  }
}

/* Written aside and renamed: who sees the file sees all of it. */
static bool write_ports(const couch_server *s, const char *path) {
  couch_buf text = {0}, aside = {0};
  FILE *file;
  bool good;
  for (unsigned i = 0; i < s->front.world.nodes; i++)
    couch_addf(&text, "http://127.0.0.1:%u/\n", s->nodes[i].port);
  couch_addf(&text, "control http://127.0.0.1:%u/_couchsim/\n",
             s->control.port);
  couch_addf(&aside, "%s.new", path);
  file = fopen(aside.data, "w");
  good = file != NULL && fputs(text.data, file) >= 0;
  if (file != NULL)
    good = fclose(file) == 0 && good;
  good = good && rename(aside.data, path) == 0;
  if (!good)
    perror(path);
  couch_buf_free(&text);
  couch_buf_free(&aside);
  return good;
}

static void tell_ports(const couch_server *s) {
  for (unsigned i = 0; i < s->front.world.nodes; i++)
    (void)printf("couchsim: listening on http://127.0.0.1:%u/\n",
                 s->nodes[i].port);
  (void)printf("couchsim: control on http://127.0.0.1:%u/_couchsim/\n",
               s->control.port);
  (void)fflush(stdout);
}

static void many_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int main(int argc, char **argv) {
  options o = {.seed = 1, .nodes = 1, .q = 2, .n = 3};
  couch_server *s;
  struct sigaction action = {.sa_handler = on_signal};
  int status = EXIT_FAILURE;
  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    (void)fputs(usage, stdout);
    return EXIT_SUCCESS;
  }
  if (!read_options(argc, argv, &o))
    return 2;
  if (o.with_parent) {
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
      return EXIT_FAILURE;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  many_files();
  s = couch_alloc(sizeof *s);
  couch_world_init(&s->front.world, o.seed, (unsigned)o.nodes, (unsigned)o.q,
                   (unsigned)o.n);
  s->front.world.settings.public_dbs = o.public_dbs;
  add_users(&s->front.world, &o);
  couch_book_init(&s->front.book);
  s->front.control = (couch_control){.world = &s->front.world,
                                     .rules = &s->front.rules,
                                     .book = &s->front.book,
                                     .close_node = -1};
  if (couch_server_open(s, (unsigned)o.port, (unsigned)o.control_port) &&
      (o.port_file == NULL || write_ports(s, o.port_file))) {
    tell_ports(s);
    couch_server_run(s, &stopped);
    status = EXIT_SUCCESS;
  }
  couch_server_close(s);
  free(s);
  return status;
}
