/* A scripted drone: an agent and a guard on real sockets that do what a drone
   promises, with an app that answers after a while, and faults to order. It
   writes down what was bound when, so that a test can say whether two claims
   ever overlapped. Any thread. */
#ifndef SUPPORT_AGENT_H
#define SUPPORT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct drone_sim drone_sim;

extern const char agent_token[]; /* that all of them want */

drone_sim *drone_sim_start(void);
void drone_sim_stop(drone_sim *s); /* NULL is fine */
const char *drone_sim_addr(const drone_sim *s);
const char *drone_sim_ctl(const drone_sim *s);

/* An app answers so long after its start; -1: never. */
void drone_sim_app_ms(drone_sim *s, int64_t ms);
/* "running", "crashloop" ... as /state tells. */
void drone_sim_app_state(drone_sim *s, const char *state);
/* No call is answered, at neither port; what comes is not done. */
void drone_sim_mute(drone_sim *s, bool mute);
/* The next so many POSTs of that path are done, and their answers lost. */
void drone_sim_lose(drone_sim *s, const char *path, int times);
/* The claim file is lost: nothing bound, another vm, no promise. */
void drone_sim_forget(drone_sim *s);

/* The claim it holds, "" none; the app in app. */
void drone_sim_claim(drone_sim *s, char claim[33], char app[64]);
bool drone_sim_serves(drone_sim *s, const char *app, const char *claim);
size_t drone_sim_binds(drone_sim *s);   /* claims accepted */
size_t drone_sim_unbinds(drone_sim *s); /* that ended one */
size_t drone_sim_refused(drone_sim *s); /* binds refused */
int64_t drone_sim_fence(drone_sim *s);

#endif
