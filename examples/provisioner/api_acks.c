/* "live 3/3": what the balancers say of an app, asked once for all who want to
   know at the same time, and told again for two seconds. */
#include "provisioner/api_state.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MS = 2000, LACKING_SIZE = 512 };

typedef void then_fn(call *c, const char *acks, const char *lacking);

struct confirm {
  LIST_ENTRY(confirm) link;
  desk_task task;
  api *api;
  char app[NAME_MOST + 1];
  int64_t gen, wait_ms, done_ms; /* done_ms 0: being asked */
  struct calls waiting;
  char acks[16], lacking[LACKING_SIZE];
};

static void work(desk_task *task, desk_hands *hands) {
  confirm *f = (confirm *)(void *)((char *)task - offsetof(confirm, task));

  (void)hands;
  kernel_confirm(f->api->config.kernel, f->app, f->wait_ms, f->acks, f->lacking,
                 sizeof f->lacking);
}

static void done(desk_task *task) {
  confirm *f = (confirm *)(void *)((char *)task - offsetof(confirm, task));
  struct calls waiting = f->waiting;
  call *c;

  f->done_ms = mono_ms();
  if (!LIST_EMPTY(&waiting))
    LIST_FIRST(&waiting)->link.le_prev = &LIST_FIRST(&waiting);
  LIST_INIT(&f->waiting);
  /* Where it lacks, its owner publishes again. */
  if (f->lacking[0] != '\0' && f->api->config.kernel != NULL)
    kernel_look(f->api->config.kernel, f->app);
  while ((c = LIST_FIRST(&waiting)) != NULL) {
    call_unlist(c);
    c->confirmed(c, f->acks, f->lacking);
  }
}

static confirm *find(api *a, const char *app, int64_t gen) {
  confirm *f;

  LIST_FOREACH(f, &a->confirms[api_bucket(app)], link)
  if (f->gen == gen && strcmp(f->app, app) == 0)
    return f;
  return NULL;
}

static confirm *make(api *a, const op *o, int64_t wait_ms) {
  confirm *f = calloc(1, sizeof *f);

  if (f == NULL)
    return NULL;
  f->api = a;
  memcpy(f->app, o->app, sizeof f->app);
  f->gen = o->gen;
  f->wait_ms = wait_ms;
  f->task.work = work;
  f->task.done = done;
  LIST_INIT(&f->waiting);
  if (a->config.kernel == NULL || !desk_do(a->askers, &f->task)) {
    free(f);
    return NULL;
  }
  LIST_INSERT_HEAD(&a->confirms[api_bucket(o->app)], f, link);
  return f;
}

void acks_ask(call *c, const op *o, int64_t wait_ms, then_fn *then) {
  api *a = c->api;
  confirm *f = find(a, o->app, o->gen);

  if (f != NULL && f->done_ms != 0 && mono_ms() - f->done_ms < KEPT_MS) {
    then(c, f->acks, f->lacking);
    return;
  }
  if (f != NULL && f->done_ms != 0) {
    LIST_REMOVE(f, link);
    free(f);
    f = NULL;
  }
  if (f == NULL)
    f = make(a, o, wait_ms);
  if (f == NULL) { /* nobody can ask: said so, not guessed */
    then(c, "0/0", "the balancers were not asked");
    return;
  }
  c->confirmed = then;
  call_list(c, &f->waiting);
}

void acks_due(api *a, bool all) {
  int64_t now = mono_ms();
  confirm *f, *next;

  for (size_t i = 0; i < CALL_BUCKETS; i++)
    for (f = LIST_FIRST(&a->confirms[i]); f != NULL; f = next) {
      next = LIST_NEXT(f, link);
      if (f->done_ms == 0 || (!all && now - f->done_ms < KEPT_MS))
        continue;
      LIST_REMOVE(f, link);
      free(f);
    }
}
