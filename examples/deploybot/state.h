/* What the bot must know after a restart, and its file: one line that says how
   long the rest is and its hash, then JSON. Written beside and renamed, so that
   it is there in whole or as it was. PATH.lock keeps a second bot out. */
#ifndef DEPLOYBOT_STATE_H
#define DEPLOYBOT_STATE_H

#include "common/text.h"
#include "deploybot/incident.h"
#include "deploybot/nonces.h"
#include "deploybot/outbox.h"

typedef struct state {
  history history;
  incident incident;
  nonces nonces;
  outbox outbox;
} state;

enum { STATE_MOST = 8 * 1024 * 1024 };

/* Pure. A text without a mistake is taken in whole; else false with a sentence,
   and the state is as a new one. */
bool state_decode(const char *data, size_t len, state *out, char *why,
                  size_t size);
void state_encode(const state *s, text *out);
void state_clear(state *s);

enum state_found { STATE_FOUND, STATE_NEW, STATE_DAMAGED, STATE_ERROR };

/* STATE_DAMAGED and STATE_ERROR with a sentence; the state is then new. */
enum state_found state_load(const char *path, state *out, char *why,
                            size_t size);
/* A damaged one goes to PATH.damaged. */
void state_set_aside(const char *path);
/* Durable when it returns true; else a sentence. */
bool state_save(const char *path, const state *s, char *why, size_t size);
/* A descriptor to be kept open while the file is used; -1 with a sentence. */
int state_lock(const char *path, char *why, size_t size);

#endif
