/* Sends the mails of an outbox: by SMTP, or as files of a directory. Blocks;
   ends early when the program is to end. */
#ifndef DEPLOYBOT_POST_H
#define DEPLOYBOT_POST_H

#include "common/metrics.h"
#include "deploybot/halt.h"
#include "deploybot/outbox.h"

enum post_tls { POST_TLS_TRY, POST_TLS_NEED, POST_TLS_NEVER };

typedef struct post_config {
  const char *smtp;            /* a URL; or NULL, and */
  const char *mailbox;         /* a directory; or NULL: nobody is told */
  enum post_tls tls;           /* of smtp:// */
  const char *ca_file;         /* or NULL: the system's */
  const char *user, *password; /* or NULL */
  const char *from;
  const char *const *to; /* receivers, of mails that have none */
  size_t to_count;
  int64_t again_ms; /* the first pause */
  metric *sent, *refused, *dropped;
} post_config;

enum post_said {
  POST_DONE,
  POST_LATER, /* no connection, no answer, 4xx: it may go well later */
  POST_NEVER  /* 5xx: not like this */
};

/* Tries the first that is due. true: the outbox is another now, to be saved
   before the next one is tried. */
bool post_due(const post_config *config, outbox *o, int64_t now_ms, halt *h);

/* ---- one mail to one receiver: post_smtp.c, post_file.c ---- */

enum post_said post_smtp(const post_config *config, const mail *m,
                         const char *to, halt *h, char *why, size_t size);
/* Twice is once: the file's name is the message's id. */
enum post_said post_file(const post_config *config, const mail *m, char *why,
                         size_t size);

#endif
