/* Mails that are to be sent, in their order, until somebody has them. Bounded.
   Pure but for memory. */
#ifndef DEPLOYBOT_OUTBOX_H
#define DEPLOYBOT_OUTBOX_H

#include "deploybot/mail.h"
#include <stdbool.h>

enum {
  OUTBOX_MOST = 100,
  RECEIVERS_MOST = 16,
  MAIL_MOST = 64 * 1024,
  MAIL_ID_MOST = 320
};

typedef struct mail {
  char id[MAIL_ID_MOST + 1]; /* of the message */
  char *data;                /* as it goes over the wire */
  char *to[RECEIVERS_MOST];  /* who lacks it */
  size_t to_count;
  int64_t at_ms;   /* when it was written, since 1970 */
  int64_t next_ms; /* not tried before */
  int64_t tries;
  bool refused; /* for good, as the server said last */
} mail;

typedef struct outbox {
  mail mails[OUTBOX_MOST];
  size_t count;
} outbox;

/* Copies. NULL: it is full, or there is no memory. */
mail *outbox_add(outbox *o, const char *id, const char *data, int64_t at_ms,
                 const char *const *to, size_t to_count);
void outbox_remove(outbox *o, size_t at);
void mail_drop_receiver(mail *m, size_t at);
void outbox_clear(outbox *o);
/* When one is to be tried next; INT64_MAX: never. */
int64_t outbox_next(const outbox *o);

#endif
