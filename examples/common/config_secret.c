/* Secrets: one line of a file that nobody else can read. */
#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MOST = 4096 };

/* Also what comes out of a pipe, but not more than one secret can have. */
static ssize_t read_most(int fd, char *out, size_t size) {
  size_t len = 0;
  ssize_t n;

  while (len < size) {
    n = read(fd, out + len, size - len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    len += (size_t)n;
  }
  return (ssize_t)len;
}

/* Out of systemd's LoadCredential=. Where it can, that leaves the file to root
   and lets the unit's user read it by an access list, whose mask stands in the
   mode as the group's right to read. */
static bool is_credential(const char *path) {
  const char *dir = getenv("CREDENTIALS_DIRECTORY");
  size_t len = dir != NULL ? strlen(dir) : 0;

  return len > 1 && strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* NULL: it may be read. */
static const char *objection(const struct stat *st, bool credential) {
  if (S_ISDIR(st->st_mode))
    return "it is a directory";
  if (S_ISREG(st->st_mode) && (st->st_mode & (credential ? 037 : 077)) != 0)
    return "others may read or change it (chmod 600 it)";
  if (S_ISREG(st->st_mode) && st->st_uid != geteuid() && geteuid() != 0 &&
      !(credential && st->st_uid == 0))
    return "it is somebody else's";
  return NULL;
}

/* The length of the secret at the beginning of len bytes; 0: there is none. */
static size_t secret_len(const char *data, size_t len) {
  const char *end = memchr(data, '\n', len);

  len = end != NULL ? (size_t)(end - data) : len;
  while (len != 0 && (data[len - 1] == '\r' || data[len - 1] == ' ' ||
                      data[len - 1] == '\t'))
    len--;
  for (size_t i = 0; i < len; i++) /* it goes into headers of HTTP */
    if ((unsigned char)data[i] < 0x20 || data[i] == 0x7f)
      return 0;
  return len;
}

static char *read_secret(int fd, const char **why) {
  char data[SECRET_MOST + 2], *secret = NULL;
  ssize_t n = read_most(fd, data, sizeof data - 1);
  size_t len = n > 0 ? secret_len(data, (size_t)n) : 0;

  if (n < 0)
    *why = strerror(errno);
  else if (len == 0)
    *why = "its first line is empty, or not text";
  else if (len > SECRET_MOST)
    *why = "its first line is longer than 4096 bytes";
  else if ((secret = strndup(data, len)) == NULL)
    *why = "there is not enough memory";
  explicit_bzero(data, sizeof data);
  return secret;
}

char *config_secret(const char *path, char *error, size_t error_size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  const char *why = NULL;
  char *secret = NULL;
  struct stat st;

  if (fd < 0 || fstat(fd, &st) != 0)
    why = strerror(errno);
  else if ((why = objection(&st, is_credential(path))) == NULL)
    secret = read_secret(fd, &why);
  if (secret == NULL)
    (void)snprintf(error, error_size,
                   "The secret in %.160s cannot be used: %s.", path, why);
  if (fd >= 0)
    (void)close(fd);
  return secret;
}

void config_forget(char *secret) {
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  free(secret);
}
