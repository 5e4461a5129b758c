/* See outbox.h. */
#include "deploybot/outbox.h"

#include <stdlib.h>
#include <string.h>

static void mail_free(mail *m) {
  for (size_t i = 0; i < m->to_count; i++)
    free(m->to[i]);
  free(m->data);
  memset(m, 0, sizeof *m);
}

mail *outbox_add(outbox *o, const char *id, const char *data, int64_t at_ms,
                 const char *const *to, size_t to_count) {
  mail *m = &o->mails[o->count];
  bool ok;

  if (o->count == OUTBOX_MOST || to_count > RECEIVERS_MOST ||
      strlen(id) > MAIL_ID_MOST || strlen(data) > MAIL_MOST)
    return NULL;
  memset(m, 0, sizeof *m);
  memcpy(m->id, id, strlen(id) + 1);
  m->at_ms = m->next_ms = at_ms;
  m->data = strdup(data);
  ok = m->data != NULL;
  for (; ok && m->to_count < to_count; m->to_count += ok) {
    m->to[m->to_count] = strdup(to[m->to_count]);
    ok = m->to[m->to_count] != NULL;
  }
  if (!ok) {
    mail_free(m);
    return NULL;
  }
  o->count++;
  return m;
}

void outbox_remove(outbox *o, size_t at) {
  mail_free(&o->mails[at]);
  o->count--;
  memmove(&o->mails[at], &o->mails[at + 1],
          (o->count - at) * sizeof o->mails[0]);
  memset(&o->mails[o->count], 0, sizeof o->mails[0]);
}

void mail_drop_receiver(mail *m, size_t at) {
  free(m->to[at]);
  m->to_count--;
  memmove(&m->to[at], &m->to[at + 1], (m->to_count - at) * sizeof m->to[0]);
  m->to[m->to_count] = NULL;
}

void outbox_clear(outbox *o) {
  while (o->count != 0)
    outbox_remove(o, o->count - 1);
}

/* One that waits for the server holds back those behind it; one that was
   refused for itself does not. */
int64_t outbox_next(const outbox *o) {
  int64_t next_ms = INT64_MAX;

  for (size_t i = 0; i < o->count; i++) {
    const mail *m = &o->mails[i];

    if (m->next_ms < next_ms)
      next_ms = m->next_ms;
    if (!m->refused)
      return next_ms;
  }
  return next_ms;
}
