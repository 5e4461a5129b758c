/*
 * Overwriting secrets. Everything that may be one counts as one: too many x in
 * a list of processes do no harm.
 */
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flags.h"
#include "text.h"

enum { SECRET_MAX = 4096 };

/* From behind "://", if there is one, to the last '@': a password with '/' or
   '@' in it makes no valid URL, but it is still a password. */
bool find_user_info(const char *url, size_t *start, size_t *len) {
  const char *scheme = strstr(url, "://");
  const char *from = scheme != NULL ? scheme + 3 : url;
  const char *at = strrchr(from, '@');

  if (at == NULL)
    return false;
  *start = (size_t)(from - url);
  *len = (size_t)(at - from);
  return true;
}

static void cross_out(char *text, size_t len) { memset(text, 'x', len); }

static void hide_user_info(char *url) {
  size_t start, len;

  if (find_user_info(url, &start, &len))
    cross_out(url + start, len);
}

static void hide_option(const changefeed_option_info *option, char *value) {
  const char *name = option != NULL ? option->name : "";
  char *colon = strchr(value, ':');

  if (strcmp(name, "url") == 0 || strcmp(name, "proxy") == 0 ||
      strcmp(name, "endpoint") == 0)
    hide_user_info(value);
  else if (strcmp(name, "header") == 0 && colon != NULL)
    cross_out(colon + 1, strlen(colon + 1));
  else if (option != NULL && option->secret != 0)
    cross_out(value, strlen(value));
  else if (strstr(value, "://") != NULL)
    hide_user_info(value);
}

/* value lies in an argument, is the value of the flag, and is overwritten in
   place. */
static void hide_value(const flag *f, char *value) {
  const changefeed_option_info *option = f->option;
  const char *inner;

  if (f->own != NULL &&
      (f->own->id == OWN_A_OPTION || f->own->id == OWN_B_OPTION)) {
    inner = flag_split(value, &option);
    if (inner == NULL || option == NULL) {
      cross_out(value, strlen(value)); /* a mistake, perhaps of a secret */
      return;
    }
    value += inner - value;
  }
  hide_option(option, value);
}

static void hide_arguments(char **argv) {
  command c = command_of(argv);
  bool flags = true;
  flag f;

  for (int i = c == COMMAND_FOLLOW ? 1 : 2; argv[i] != NULL; i += f.used) {
    char *equals = strchr(argv[i], '=');

    flag_read(c, argv, i, &f);
    if (!flags || !f.is_flag) {
      flags = flags && !f.ends_flags;
      f.used = 1;
      hide_user_info(argv[i]);
    } else if (f.used == 2) {
      hide_value(&f, argv[i + 1]);
    } else if (f.value != NULL && equals != NULL) {
      hide_value(&f, equals + 1);
    }
  }
}

/* The text stays in the process's environment block when it is only unset. */
static bool take_password(secrets *s) {
  static const char name[] = "CHANGEFEED_PASSWORD";
  char *value = getenv(name);

  if (value == NULL)
    return true;
  s->password = strdup(value);
  wipe(value, strlen(value));
  return unsetenv(name) == 0 && s->password != NULL;
}

bool secrets_take(secrets *s, int argc, char **argv) {
  memset(s, 0, sizeof *s);
  s->argv = calloc((size_t)argc + 1, sizeof *s->argv);
  if (s->argv == NULL)
    return false;
  for (; s->argc < argc; s->argc++) {
    s->argv[s->argc] = strdup(argv[s->argc]);
    if (s->argv[s->argc] == NULL)
      return false;
  }
  if (argc > 0)
    hide_arguments(argv);
  return take_password(s);
}

void secret_free(char *secret) {
  if (secret != NULL)
    wipe(secret, strlen(secret));
  free(secret);
}

void secrets_free(secrets *s) {
  for (int i = 0; i < s->argc; i++)
    secret_free(s->argv[i]);
  free(s->argv);
  secret_free(s->password);
  memset(s, 0, sizeof *s);
}

/* ---- password files ---- */

static ssize_t read_some(int fd, char *out, size_t size) {
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

static char *first_line(char *text, size_t len, const char **why) {
  size_t end = 0;
  char *line;

  while (end < len && text[end] != '\n')
    end++;
  if (end == len && len == SECRET_MAX) {
    *why = "its first line is too long";
    return NULL;
  }
  if (end != 0 && text[end - 1] == '\r')
    end--;
  if (end == 0 || memchr(text, '\0', end) != NULL) {
    *why = end == 0 ? "its first line is empty" : "it is no text";
    return NULL;
  }
  line = calloc(1, end + 1);
  if (line == NULL)
    *why = strerror(ENOMEM);
  else
    memcpy(line, text, end);
  return line;
}

char *secret_read_file(const char *path, const char **why) {
  char text[SECRET_MAX], *line = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t len;

  if (fd < 0) {
    *why = strerror(errno);
    return NULL;
  }
  len = read_some(fd, text, sizeof text);
  if (len < 0)
    *why = strerror(errno);
  else
    line = first_line(text, (size_t)len, why);
  (void)close(fd);
  wipe(text, sizeof text);
  return line;
}
