/*
 * Where an app listens: a private port of 127.0.0.1 or a unix socket, whether
 * it takes connections there, and whether it is really the app that does.
 */
#ifndef DRONE_PORT_H
#define DRONE_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A port of 127.0.0.1 that nobody has: of low..high, or with 0 the system's
   choice. last: the one that was used last, which is taken only when there is
   no other. 0: none, errno. */
int drone_port_pick(int low, int high, int last);

/* Whether a process that descends from root listens on that port. false also
   when another does; true when the kernel does not tell who. */
bool drone_port_is_of(int port, pid_t root);

/* Connects to "127.0.0.1:PORT" or "unix:PATH" and closes again; done is called
   once, later: 0 or a UV_ error (UV_ETIMEDOUT after ms). 0, or a UV_ error and
   done is not called. */
int drone_port_try(uv_loop_t *loop, const char *address, int64_t ms,
                   void (*done)(void *ctx, int status), void *ctx);

#endif
