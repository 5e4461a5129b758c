/* The HTTP API: what people, and the command `apps`, say to the provisioner. On
   the loop's thread; what would block goes to a desk. It only writes what is
   wanted; how that comes about is the kernel's matter, here or elsewhere. */
#ifndef PROVISIONER_API_H
#define PROVISIONER_API_H

#include "provisioner/admission.h"
#include "provisioner/kernel.h"
#include <uv.h>

typedef struct api api;

typedef struct api_config {
  const char *listen;
  const char *token;       /* of callers */
  const char *drone_token; /* of agents, to read logs */
  const char *couch, *apps, *locks;
  const char *self;
  const char *domain;     /* of default hosts: NAME.DOMAIN */
  const char *url_scheme; /* of the URLs that are told: "http" */
  int url_port;           /* 0: the scheme's */
  admission_config admission;
  view *view;
  kernel *kernel; /* until api_rest */
  metrics *metrics;
} api_config;

/* Strings have to outlive it. NULL with a sentence. */
api *api_open(uv_loop_t *loop, const api_config *config, char *error,
              size_t error_size);
const char *api_address(const api *a);
/* From the view. */
void api_changed(api *a, const char *id);
void api_synced(api *a);
/* Nothing is begun any more: 503 for it, with Retry-After; who waits for a
   change is answered. */
void api_drain(api *a);
/* After api_drain: rested is called when nothing that was begun uses the
   kernel any more. */
void api_rest(api *a, void (*rested)(void *ctx), void *ctx);
/* After api_rest. closed is called, and a is gone, when all answers are out,
   at most ms later. */
void api_close(api *a, int64_t ms, void (*closed)(void *ctx), void *ctx);

#endif
