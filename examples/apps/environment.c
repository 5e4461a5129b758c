/* See environment.h. A value is taken as it stands: no quotes, no escapes, no
   blanks removed, as docker and systemd read such files. */
#include "apps/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 256 * 1024 };

static bool is_name(const char *s, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') &&
        s[i] != '_' && (i == 0 || s[i] < '0' || s[i] > '9'))
      return false;
  return len != 0 && len < 256;
}

bool apps_env_add(json_t *env, const char *text, size_t len, const char *place,
                  char *error, size_t size) {
  const char *equals = len != 0 ? memchr(text, '=', len) : NULL;
  size_t name_len = equals != NULL ? (size_t)(equals - text) : 0;
  char name[256];
  json_t *value;

  if (equals == NULL || !is_name(text, name_len)) {
    (void)snprintf(error, size,
                   "%s: there must be NAME=VALUE, the name of letters, digits "
                   "and '_'.",
                   place);
    return false;
  }
  memcpy(name, text, name_len);
  name[name_len] = '\0';
  value = json_stringn(equals + 1, len - name_len - 1);
  if (value == NULL || json_object_set_new(env, name, value) != 0) {
    (void)snprintf(error, size, "%s: the value of %s is not UTF-8.", place,
                   name);
    return false;
  }
  return true;
}

static bool add_lines(json_t *env, const char *path, const char *data,
                      size_t len, char *error, size_t size) {
  const char *end, *line = data;
  size_t number = 1, line_len;
  char place[256];

  for (; line < data + len; line = end + 1, number++) {
    end = memchr(line, '\n', (size_t)(data + len - line));
    end = end != NULL ? end : data + len;
    line_len = (size_t)(end - line);
    if (line_len != 0 && line[line_len - 1] == '\r')
      line_len--;
    if (line_len == 0 || line[0] == '#')
      continue;
    (void)snprintf(place, sizeof place, "%.180s, line %zu", path, number);
    if (!apps_env_add(env, line, line_len, place, error, size))
      return false;
  }
  return true;
}

bool apps_env_add_file(json_t *env, const char *path, char *error,
                       size_t size) {
  char *data = malloc(FILE_MOST + 1);
  FILE *file = fopen(path, "re");
  bool done = false;
  size_t len;

  if (data == NULL || file == NULL) {
    (void)snprintf(error, size, "%.180s cannot be opened: %s.", path,
                   strerror(data == NULL ? ENOMEM : errno));
  } else {
    len = fread(data, 1, FILE_MOST + 1, file);
    if (ferror(file) != 0)
      (void)snprintf(error, size, "%.180s cannot be read: %s.", path,
                     strerror(errno));
    else if (len > FILE_MOST)
      (void)snprintf(error, size, "%.180s is larger than an environment.",
                     path);
    else
      done = add_lines(env, path, data, len, error, size);
  }
  if (file != NULL)
    (void)fclose(file);
  free(data);
  return done;
}
