/* See follow_program.h. */
#include "follow_program.h"

#include "support/couch.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MOST = 32 };

static void read_admin(follow_program *p, const char *file) {
  char line[128] = "";
  FILE *in = NULL;

  FOLLOW_AWAIT(p->world, (in = fopen(file, "r")) != NULL);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, in)); /* of visitors */
  ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
  ck_assert_int_eq(fclose(in), 0);
  ck_assert_int_eq(unlink(file), 0);
  line[strcspn(line, "\n")] = '\0';
  (void)snprintf(p->admin, sizeof p->admin, "http://%.100s", line);
}

void follow_program_start(follow_program *p, follow_world *w,
                          const char *const *more) {
  const char *dir = getenv("CFT_PLATFORM");
  bool naive = more != NULL && strcmp(more[0], "--naive") == 0;
  char path[256], file[128];
  const char *args[ARGS_MOST] = {
      path,       "--couch",      w->url,    "--id",        "b",
      "--listen", "127.0.0.1:0",  "--admin", "127.0.0.1:0", "--port-file",
      file,       "--stale-time", "2s"};
  size_t count = 13;

  ck_assert_msg(dir != NULL, "CFT_PLATFORM is the directory of the programs");
  (void)snprintf(path, sizeof path, "%s/balancer%s", dir,
                 naive ? "_hooked" : "");
  (void)snprintf(file, sizeof file, "%s/ports", w->dir);
  for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
    ck_assert_uint_lt(count, ARGS_MOST - 1);
    args[count++] = more[i];
  }
  p->world = w;
  p->proc = cft_proc_start(args, NULL);
  ck_assert_ptr_nonnull(p->proc);
  read_admin(p, file);
}

static void ended(follow_program *p, int wanted) {
  int status = -1;

  ck_assert_msg(cft_proc_wait(p->proc, FOLLOW_PATIENCE_MS, &status),
                "it does not end");
  ck_assert_int_eq(status, wanted);
  cft_proc_free(p->proc);
}

void follow_program_stop(follow_program *p) {
  ck_assert(cft_proc_signal(p->proc, SIGTERM));
  ended(p, 0);
}

void follow_program_kill(follow_program *p) {
  ck_assert(cft_proc_signal(p->proc, SIGKILL));
  ended(p, 128 + SIGKILL);
}

int64_t follow_program_gen(follow_program *p, const char *app) {
  char url[256], *body = NULL;
  int64_t gen = -1;
  json_t *answer;
  int status;

  (void)snprintf(url, sizeof url, "%s/route/%s.test", p->admin, app);
  status = cft_http("GET", url, NULL, &body);
  ck_assert_int_ne(status, -1);
  answer = json_loads(body, 0, NULL);
  ck_assert_ptr_nonnull(answer);
  if (status == 200)
    gen = json_integer_value(json_object_get(answer, "gen"));
  json_decref(answer);
  free(body);
  return gen;
}
