/* See program.h. */
#include "common/program.h"

#include "common/log.h"
#include "common/text.h"
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool program_id(const config *c, char initial, char id[NAME_MOST + 1],
                char *error, size_t size) {
  const char *given = config_string(c, "id");
  char random[CLAIM_LEN + 1];

  if (given == NULL) {
    if (!id_random(random)) {
      (void)snprintf(error, size, "the system has no random bytes");
      return false;
    }
    (void)snprintf(id, NAME_MOST + 1, "%c-%.8s", initial, random);
    return true;
  }
  if (!id_is_app(given, strlen(given))) {
    (void)snprintf(error, size,
                   "--id %.60s: it consists of a-z, 0-9 and -, begins with a "
                   "letter, and has at most 63",
                   given);
    return false;
  }
  (void)snprintf(id, NAME_MOST + 1, "%s", given);
  return true;
}

static void on_signal(uv_signal_t *handle, int number) {
  program_signals *s = handle->data;

  if (s->end(s->ctx))
    return;
  log_event(LOG_WARN, "ended", LN("signal", number));
  _exit(EXIT_FAILURE);
}

bool program_signals_open(program_signals *s, uv_loop_t *loop,
                          bool (*end)(void *ctx), void *ctx) {
  static const int numbers[] = {SIGTERM, SIGINT};

  s->end = end;
  s->ctx = ctx;
  for (int i = 0; i < 2; i++) {
    if (uv_signal_init(loop, &s->handles[i]) != 0)
      return false;
    s->handles[i].data = s;
    if (uv_signal_start(&s->handles[i], on_signal, numbers[i]) != 0)
      return false;
  }
  return true;
}

void program_signals_close(program_signals *s) {
  for (int i = 0; i < 2; i++)
    uv_close((uv_handle_t *)&s->handles[i], NULL);
}

static bool write_whole(const char *path, const char *beside,
                        const char *lines) {
  FILE *file = fopen(beside, "we");
  bool ok = file != NULL && fputs(lines, file) >= 0;

  if (file != NULL && fclose(file) != 0)
    ok = false;
  return ok && rename(beside, path) == 0;
}

static bool write_port_file(const config *c, const char *lines, char *error,
                            size_t size) {
  const char *path = config_string(c, "port-file");
  text beside = TEXT_INIT;
  bool ok;

  if (path == NULL)
    return true;
  text_printf(&beside, "%s.new", path);
  errno = ENOMEM;
  ok = !beside.failed && write_whole(path, text_get(&beside), lines);
  if (!ok)
    (void)snprintf(error, size, "--port-file %.200s: %s", path,
                   strerror(errno));
  text_free(&beside);
  return ok;
}

/* A datagram to the socket whose path, or abstract name behind an '@', systemd
   has told. */
static bool tell_systemd(const char *path) {
  static const char ready[] = "READY=1";
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
  ssize_t sent;
  int fd;

  errno = EINVAL;
  if ((path[0] != '/' && path[0] != '@') || len >= sizeof to.sun_path)
    return false;
  memcpy(to.sun_path, path, len);
  if (path[0] == '@')
    to.sun_path[0] = '\0';
  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  sent = sendto(fd, ready, sizeof ready - 1, MSG_NOSIGNAL,
                (const struct sockaddr *)&to, size);
  (void)close(fd);
  return sent == (ssize_t)sizeof ready - 1;
}

bool program_ready(const config *c, const char *lines, char *error,
                   size_t size) {
  const char *path = getenv("NOTIFY_SOCKET");

  if (!write_port_file(c, lines, error, size))
    return false;
  if (path == NULL || path[0] == '\0' || tell_systemd(path))
    return true;
  (void)snprintf(error, size, "NOTIFY_SOCKET %.200s: %s", path,
                 strerror(errno));
  return false;
}
