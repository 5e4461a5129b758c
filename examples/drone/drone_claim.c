/*
 * The rules of claims; see drone_claim.h. Each change is a copy of the record
 * that is saved first and becomes the truth only then.
 */
#include "drone/drone_claim.h"
#include "drone/drone_hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct drone_claim {
  drone_store *store;
  drone_record now;
  int failed; /* errno of the last save that failed */
};

/* Takes next over, whatever comes of it. */
static enum drone_said commit(drone_claim *c, drone_record *next) {
  int failed = drone_store_save(c->store, next);

  if (failed != 0) {
    c->failed = failed;
    drone_record_clear(next);
    /* The new bytes may lie on the disk although they are not durable; the old
       ones are put back, so that a next life does not find them. */
    (void)drone_store_save(c->store, &c->now);
    return DRONE_DISK;
  }
  drone_record_clear(&c->now);
  c->now = *next;
  memset(next, 0, sizeof *next);
  return DRONE_YES;
}

static enum drone_said no_memory(drone_claim *c) {
  c->failed = ENOMEM;
  return DRONE_DISK;
}

/* A new life, or an old one at another place: written before anybody is told.
 */
static bool begin(drone_claim *c, const char *addr, const char *ctl,
                  char *error, size_t error_size) {
  if (c->now.vm[0] != '\0' && strcmp(c->now.addr, addr) == 0 &&
      strcmp(c->now.ctl, ctl) == 0)
    return true;
  if (c->now.vm[0] == '\0' && !id_random(c->now.vm)) {
    (void)snprintf(error, error_size, "the kernel gave no random bytes");
    return false;
  }
  (void)snprintf(c->now.addr, sizeof c->now.addr, "%s", addr);
  (void)snprintf(c->now.ctl, sizeof c->now.ctl, "%s", ctl);
  c->failed = drone_store_save(c->store, &c->now);
  if (c->failed != 0)
    (void)snprintf(error, error_size, "%s/claim cannot be written: %s",
                   drone_store_path(c->store), strerror(c->failed));
  return c->failed == 0;
}

drone_claim *drone_claim_open(drone_store *store, drone_record *last,
                              const char *addr, const char *ctl, char *error,
                              size_t error_size) {
  drone_claim *c = calloc(1, sizeof *c);

  if (c == NULL) {
    (void)snprintf(error, error_size, "no memory for the claim");
    return NULL;
  }
  c->store = store;
  c->now = *last;
  memset(last, 0, sizeof *last);
  if (begin(c, addr, ctl, error, error_size))
    return c;
  drone_claim_free(c);
  return NULL;
}

void drone_claim_free(drone_claim *c) {
  if (c == NULL)
    return;
  drone_record_clear(&c->now);
  free(c);
}

const drone_record *drone_claim_record(const drone_claim *c) { return &c->now; }

int drone_claim_errno(const drone_claim *c) { return c->failed; }

bool drone_claim_holds(const drone_claim *c, const char *id) {
  return c->now.held && strcmp(c->now.claim.id, id) == 0;
}

enum drone_said drone_claim_bind(drone_claim *c, const char *vm,
                                 const drone_bound *bound) {
  const drone_bound *held = &c->now.claim;
  drone_record next;
  enum drone_said said;

  if (strcmp(vm, c->now.vm) != 0)
    return DRONE_VM;
  if (c->now.held) /* the very same one again, or another */
    return strcmp(held->id, bound->id) == 0 &&
                   strcmp(held->app, bound->app) == 0 &&
                   held->gen == bound->gen && held->epoch == bound->epoch
               ? DRONE_YES
               : DRONE_CLAIMED;
  if (bound->epoch <= c->now.fence)
    return DRONE_FENCED;
  if (!drone_record_copy(&next, &c->now))
    return no_memory(c);
  next.held = true;
  next.claim = *bound;
  (void)drone_hook("bind.before");
  said = commit(c, &next);
  (void)drone_hook("bind.after");
  return said;
}

enum drone_said drone_claim_start(drone_claim *c, const char *id,
                                  const char *command, const json_t *env,
                                  int64_t memory_mb, bool *already) {
  drone_record next;

  *already = false;
  if (!drone_claim_holds(c, id))
    return DRONE_UNHELD;
  if (env != NULL && json_object_size(env) == 0)
    env = NULL;
  if (c->now.command != NULL) {
    *already =
        strcmp(c->now.command, command) == 0 && c->now.memory_mb == memory_mb &&
        (env == NULL ? c->now.env == NULL
                     : json_equal((json_t *)(uintptr_t)env, c->now.env) != 0);
    return *already ? DRONE_YES : DRONE_COMMAND;
  }
  if (!drone_record_copy(&next, &c->now))
    return no_memory(c);
  next.command = strdup(command);
  next.env = env != NULL ? json_deep_copy(env) : NULL;
  next.memory_mb = memory_mb;
  if (next.command == NULL || (env != NULL && next.env == NULL)) {
    drone_record_clear(&next);
    return no_memory(c);
  }
  return commit(c, &next);
}

enum drone_said drone_claim_may_unbind(const drone_claim *c, const char *id) {
  return c->now.held && !drone_claim_holds(c, id) ? DRONE_CLAIMED : DRONE_YES;
}

enum drone_said drone_claim_unbind(drone_claim *c, const char *id,
                                   int64_t epoch) {
  drone_record next;

  if (drone_claim_may_unbind(c, id) != DRONE_YES)
    return DRONE_CLAIMED;
  /* What was unbound is never bound again, whatever epoch the caller thinks. */
  if (c->now.held && c->now.claim.epoch > epoch)
    epoch = c->now.claim.epoch;
  if (!c->now.held && epoch <= c->now.fence)
    return DRONE_YES;
  memset(&next, 0, sizeof next);
  memcpy(next.vm, c->now.vm, sizeof next.vm);
  memcpy(next.addr, c->now.addr, sizeof next.addr);
  memcpy(next.ctl, c->now.ctl, sizeof next.ctl);
  next.fence = epoch > c->now.fence ? epoch : c->now.fence;
  return commit(c, &next);
}

enum drone_said drone_claim_fence(drone_claim *c, const char *vm,
                                  int64_t epoch) {
  drone_record next;

  if (strcmp(vm, c->now.vm) != 0)
    return DRONE_VM;
  if (c->now.held)
    return DRONE_CLAIMED;
  if (epoch <= c->now.fence)
    return DRONE_YES;
  if (!drone_record_copy(&next, &c->now))
    return no_memory(c);
  next.fence = epoch;
  return commit(c, &next);
}
