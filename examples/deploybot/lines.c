/* See lines.h. */
#include "deploybot/lines.h"

#include "common/ids.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines {
  char bytes[LINES_BYTES_MOST + 2];
  const char *all[LINES_MOST];
  size_t count;
};

static bool take(lines *l, char *line) {
  size_t len;

  line += strspn(line, " \t");
  len = strlen(line);
  while (len != 0 && strchr(" \t\r", line[len - 1]) != NULL)
    line[--len] = '\0';
  if (len == 0 || line[0] == '#')
    return true;
  if (l->count == LINES_MOST)
    return false;
  l->all[l->count++] = line;
  return true;
}

static const char *split(lines *l, size_t len) {
  l->bytes[len] = '\0';
  if (len > LINES_BYTES_MOST)
    return "it is larger than 64 KiB";
  if (strlen(l->bytes) != len)
    return "it has a zero byte in it";
  for (char *line = l->bytes, *end; line != NULL; line = end) {
    end = strchr(line, '\n');
    if (end != NULL)
      *end++ = '\0';
    if (!take(l, line))
      return "it has more than 1000 lines";
  }
  return l->count != 0 ? NULL : "there is no line in it";
}

lines *lines_read(const char *path, char *error, size_t size) {
  lines *l = calloc(1, sizeof *l);
  FILE *file = fopen(path, "re");
  const char *why = NULL;
  size_t len;

  if (file == NULL || l == NULL) {
    why = file == NULL ? strerror(errno) : "there is no memory";
  } else {
    len = fread(l->bytes, 1, LINES_BYTES_MOST + 1, file);
    why = ferror(file) != 0 ? strerror(errno) : split(l, len);
  }
  if (file != NULL)
    (void)fclose(file);
  if (why == NULL)
    return l;
  (void)snprintf(error, size, "--lines %.200s: %s", path, why);
  free(l);
  return NULL;
}

void lines_free(lines *l) { free(l); }

const char *lines_pick(const lines *l) {
  char chance[CLAIM_LEN + 1] = "";

  if (l == NULL)
    return NULL;
  (void)id_random(chance); /* without chance it is the same one each time */
  return l->all[id_hash(chance, strlen(chance)) % l->count];
}
