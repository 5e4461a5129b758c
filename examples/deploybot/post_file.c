/* One mail as a file; see post.h. */
#include "deploybot/durable.h"
#include "deploybot/post.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum post_said post_file(const post_config *config, const mail *m, char *why,
                         size_t size) {
  int dir = open(config->mailbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  size_t len = strcspn(m->id, "@/");
  int failed = dir < 0 ? errno : 0;
  char name[MAIL_ID_MOST + 8];

  /* The part before the @ is a time and what is random. */
  (void)snprintf(name, sizeof name, "%.*s.eml", (int)len, m->id);
  if (failed == 0)
    failed = durable_write(dir, name, m->data, strlen(m->data));
  if (dir >= 0)
    (void)close(dir);
  if (failed == 0)
    return POST_DONE;
  (void)snprintf(why, size, "--mailbox %.200s: %s", config->mailbox,
                 strerror(failed));
  return POST_LATER;
}
