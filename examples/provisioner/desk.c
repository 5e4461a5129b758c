/* Threads for what blocks; see desk.h. The threads end one by one when there is
   nothing left to do and the desk is closing; the last one's message to the
   loop has them joined. */
#include "provisioner/desk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MOST = 32 };

typedef struct desk_thread {
  desk *desk;
  desk_hands hands;
  pthread_t id;
  bool running;
} desk_thread;

typedef struct queue {
  desk_task *first, **end;
} queue;

struct desk {
  uv_async_t async;
  pthread_mutex_t lock;
  pthread_cond_t come;
  queue todo, done;
  size_t waiting, most, alive;
  bool closing;
  void (*closed)(void *ctx);
  void *ctx;
  desk_thread threads[THREADS_MOST];
};

static void push(queue *q, desk_task *task) {
  task->next = NULL;
  *q->end = task;
  q->end = &task->next;
}

static desk_task *pop(queue *q) {
  desk_task *task = q->first;

  if (task == NULL)
    return NULL;
  q->first = task->next;
  if (q->first == NULL)
    q->end = &q->first;
  return task;
}

static void *run(void *arg) {
  desk_thread *t = arg;
  desk *d = t->desk;
  desk_task *task;

  (void)pthread_mutex_lock(&d->lock);
  for (;;) {
    while ((task = pop(&d->todo)) == NULL && !d->closing)
      (void)pthread_cond_wait(&d->come, &d->lock);
    if (task == NULL)
      break;
    d->waiting--;
    (void)pthread_mutex_unlock(&d->lock);
    task->work(task, &t->hands);
    (void)pthread_mutex_lock(&d->lock);
    push(&d->done, task);
    (void)uv_async_send(&d->async);
  }
  d->alive--;
  (void)uv_async_send(&d->async);
  (void)pthread_mutex_unlock(&d->lock);
  return NULL;
}

static void on_handle_closed(uv_handle_t *handle) {
  desk *d = handle->data;

  for (size_t i = 0; i < THREADS_MOST; i++) {
    docs_free(d->threads[i].hands.apps);
    docs_free(d->threads[i].hands.locks);
  }
  (void)pthread_cond_destroy(&d->come);
  (void)pthread_mutex_destroy(&d->lock);
  if (d->closed != NULL)
    d->closed(d->ctx);
  free(d);
}

static void join_all(desk *d) {
  for (size_t i = 0; i < THREADS_MOST; i++)
    if (d->threads[i].running)
      (void)pthread_join(d->threads[i].id, NULL);
  uv_close((uv_handle_t *)&d->async, on_handle_closed);
}

static void on_async(uv_async_t *handle) {
  desk *d = handle->data;
  desk_task *task;
  bool over;

  for (;;) {
    (void)pthread_mutex_lock(&d->lock);
    task = pop(&d->done);
    over = task == NULL && d->closing && d->alive == 0 && d->todo.first == NULL;
    (void)pthread_mutex_unlock(&d->lock);
    if (task == NULL)
      break;
    task->done(task);
  }
  if (over && !uv_is_closing((uv_handle_t *)&d->async))
    join_all(d);
}

static bool hire(desk *d, desk_thread *t, const desk_config *config,
                 char *error, size_t error_size) {
  rest_config server = {.url = config->couch};

  t->desk = d;
  t->hands.apps_name = config->apps;
  t->hands.apps = docs_new(&server, config->apps, error, error_size);
  if (t->hands.apps == NULL)
    return false;
  t->hands.locks = docs_new(&server, config->locks, error, error_size);
  if (t->hands.locks == NULL)
    return false;
  (void)pthread_mutex_lock(&d->lock);
  t->running = pthread_create(&t->id, NULL, run, t) == 0;
  if (t->running)
    d->alive++;
  (void)pthread_mutex_unlock(&d->lock);
  if (!t->running)
    (void)snprintf(error, error_size, "no thread can be started");
  return t->running;
}

desk *desk_open(uv_loop_t *loop, const desk_config *config, char *error,
                size_t error_size) {
  desk *d = calloc(1, sizeof *d);
  size_t i;

  (void)snprintf(error, error_size, "there is no memory");
  if (d == NULL)
    return NULL;
  d->todo.end = &d->todo.first;
  d->done.end = &d->done.first;
  d->most = config->most;
  d->async.data = d;
  if (uv_async_init(loop, &d->async, on_async) != 0) {
    (void)snprintf(error, error_size, "the loop has no room for a handle");
    free(d);
    return NULL;
  }
  (void)pthread_mutex_init(&d->lock, NULL);
  (void)pthread_cond_init(&d->come, NULL);
  for (i = 0; i < config->threads && i < THREADS_MOST; i++)
    if (!hire(d, &d->threads[i], config, error, error_size)) {
      desk_close(d, NULL, NULL);
      return NULL;
    }
  return d;
}

bool desk_do(desk *d, desk_task *task) {
  bool taken;

  (void)pthread_mutex_lock(&d->lock);
  taken = d->waiting < d->most && d->alive > 0;
  if (taken) {
    push(&d->todo, task);
    d->waiting++;
    (void)pthread_cond_signal(&d->come);
  }
  (void)pthread_mutex_unlock(&d->lock);
  return taken;
}

size_t desk_waiting(desk *d) {
  size_t waiting;

  (void)pthread_mutex_lock(&d->lock);
  waiting = d->waiting;
  (void)pthread_mutex_unlock(&d->lock);
  return waiting;
}

void desk_close(desk *d, void (*closed)(void *ctx), void *ctx) {
  (void)pthread_mutex_lock(&d->lock);
  d->closing = true;
  d->closed = closed;
  d->ctx = ctx;
  (void)pthread_cond_broadcast(&d->come);
  (void)pthread_mutex_unlock(&d->lock);
  (void)uv_async_send(&d->async);
}
