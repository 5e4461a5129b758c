/* What drones tell of binds in their logs: looks at agents come now and then,
 * these lines tell of each. A claim is let go before another is taken, and no
 * epoch comes back while the drone has its file. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bind_state {
  char held[16]; /* "": nothing; "?": something, its line is missing */
  char vm[40];
  long long epoch;
} bind_state;

/* The value behind " key=", without quotes; "" when there is none. */
static void field(const char *line, const char *key, char *out, size_t size) {
  char name[24];
  (void)snprintf(name, sizeof name, " %s=", key);
  const char *at = strstr(line, name);
  out[0] = '\0';
  if (!at)
    return;
  at += strlen(name);
  at += *at == '"';
  (void)snprintf(out, size, "%.*s", (int)strcspn(at, " \"\n"), at);
}

static long long epoch_of(const char *line) {
  char epoch[24];
  field(line, "epoch", epoch, sizeof epoch);
  return strtoll(epoch, NULL, 10);
}

/* A new life: what it holds is what its file says. Its last line may be missing
   when it was killed between the file and the line. */
static void on_ready(bind_state *b, const char *line) {
  char app[80], vm[40];
  field(line, "app", app, sizeof app);
  field(line, "vm", vm, sizeof vm);
  if (strcmp(vm, b->vm) != 0) {
    *b = (bind_state){.epoch = 0};
    (void)snprintf(b->vm, sizeof b->vm, "%s", vm);
  }
  if (!app[0])
    b->held[0] = '\0';
  else if (!b->held[0])
    (void)snprintf(b->held, sizeof b->held, "?");
}

static void on_bind(run *r, const drone *d, bind_state *b, const char *line) {
  char claim[16];
  long long epoch = epoch_of(line);
  field(line, "claim", claim, sizeof claim);
  if (strcmp(b->held, claim) == 0)
    return;
  if (b->held[0] && b->held[0] != '?')
    broke(r, I1_ONE_CLAIM, "%s took %s while it held %s", d->addr, claim,
          b->held);
  else if (b->held[0] == '\0' && epoch <= b->epoch)
    broke(r, I1_ONE_CLAIM, "%s took %s of epoch %lld behind epoch %lld",
          d->addr, claim, epoch, b->epoch);
  (void)snprintf(b->held, sizeof b->held, "%s", claim);
  if (epoch > b->epoch)
    b->epoch = epoch;
}

static void on_line(run *r, const drone *d, bind_state *b, const char *line) {
  char event[24], said[8];
  field(line, "event", event, sizeof event);
  field(line, "said", said, sizeof said);
  if (strcmp(event, "ready") == 0) {
    on_ready(b, line);
  } else if (strcmp(event, "bind") == 0 && strcmp(said, "0") == 0) {
    r->binds++;
    on_bind(r, d, b, line);
  } else if (strcmp(event, "unbound") == 0 && strcmp(said, "0") == 0) {
    b->held[0] = '\0';
    if (epoch_of(line) > b->epoch)
      b->epoch = epoch_of(line);
  }
}

bool drone_told_bind(const drone *d, const char *claim) {
  char line[2048], event[24], said[8], prefix[9], bound[16];
  bool told = false;
  FILE *f = fopen(d->proc.log, "r");
  (void)snprintf(prefix, sizeof prefix, "%.8s", claim);
  while (f && !told && fgets(line, sizeof line, f)) {
    field(line, "event", event, sizeof event);
    field(line, "said", said, sizeof said);
    field(line, "claim", bound, sizeof bound);
    told = strcmp(event, "bind") == 0 && strcmp(said, "0") == 0 &&
           strcmp(bound, prefix) == 0;
  }
  if (f)
    (void)fclose(f);
  return told;
}

void judge_binds(run *r) {
  for (unsigned i = 0; i < r->o->drones; i++) {
    bind_state b = {.epoch = 0};
    char line[2048];
    FILE *f = fopen(r->drones[i].proc.log, "r");
    if (!f) {
      broke(r, I1_ONE_CLAIM, "%s is not there", r->drones[i].proc.log);
      continue;
    }
    while (fgets(line, sizeof line, f))
      on_line(r, &r->drones[i], &b, line);
    (void)fclose(f);
  }
}
