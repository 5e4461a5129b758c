/* Loading and parsing of recorded responses: see wire.h. Lenient on purpose:
   recordings hold cut bodies and broken framing, and the parse says where. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"
#include "mem.h"

#include <dirent.h>
#include <limits.h>
#include <strings.h>

#ifndef CFT_DATA_DIR
#define CFT_DATA_DIR ""
#endif

bool cft_data_path(const char *file, char *path, size_t size) {
  static const char self[] = __FILE__;
  const char *dir = getenv("CFT_DATA_DIR"), *slash = strrchr(self, '/');
  int n;
  if (!dir || !*dir)
    dir = CFT_DATA_DIR;
  if (*dir)
    n = snprintf(path, size, "%s/%s", dir, file);
  else
    n = snprintf(path, size, "%.*s/../data/%s", slash ? (int)(slash - self) : 1,
                 slash ? self : ".", file);
  return n >= 0 && (size_t)n < size;
}

char *cft_read_file(const char *path, size_t *len) {
  FILE *f = fopen(path, "rbe");
  char *data = NULL;
  size_t n = 0, cap = 0, got = 0;
  if (!f)
    return NULL;
  do {
    n += got;
    if (cap - n < 2) {
      cap = cap ? cap * 2 : 8192;
      data = cft_realloc(data, cap, 1);
    }
    got = fread(data + n, 1, cap - n - 1, f);
  } while (got > 0);
  bool failed = ferror(f) != 0;
  fclose(f);
  if (failed) {
    free(data);
    return NULL;
  }
  data[n] = '\0';
  if (len)
    *len = n;
  return data;
}

/* ---- head ---- */

static int status_of(const char *p, size_t len) {
  if (len < 12 || memcmp(p, "HTTP/1.", 7) != 0)
    return 0;
  return (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
}

static void add_header(cft_wire *w, const char *line, size_t len) {
  const char *colon = memchr(line, ':', len);
  if (!colon)
    return;
  const char *value = colon + 1, *end = line + len;
  while (value < end && (*value == ' ' || *value == '\t'))
    value++;
  w->headers = cft_realloc(w->headers, w->header_count + 1, sizeof *w->headers);
  w->headers[w->header_count].name = cft_memdup(line, (size_t)(colon - line));
  w->headers[w->header_count++].value =
      cft_memdup(value, (size_t)(end - value));
}

/* Reads the head at `at`; the offset behind it, or 0 when it does not end. */
static size_t read_head(cft_wire *w, size_t at) {
  const char *p = w->raw + at, *end = w->raw + w->raw_len;
  const char *stop = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
  if (!stop)
    return 0;
  w->status = status_of(p, (size_t)(stop - p));
  for (const char *line = p; line <= stop;) {
    const char *eol = memmem(line, (size_t)(stop + 2 - line), "\r\n", 2);
    if (line != p)
      add_header(w, line, (size_t)(eol - line));
    line = eol + 2;
  }
  return (size_t)(stop - w->raw) + 4;
}

const char *cft_wire_header(const cft_wire *w, const char *name) {
  for (size_t i = 0; i < w->header_count; i++)
    if (strcasecmp(w->headers[i].name, name) == 0)
      return w->headers[i].value;
  return NULL;
}

/* ---- body ---- */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads "SIZE[;extension]\r\n" at *at. 1: read, 0: cut short, -1: no size. */
static int chunk_size(const cft_wire *w, size_t *at, size_t *size) {
  size_t p = *at, digits = 0;
  for (*size = 0; p < w->raw_len; p++, digits++) {
    int d = hex_digit(w->raw[p]);
    if (d < 0)
      break;
    if (*size > (SIZE_MAX >> 5))
      return -1;
    *size = *size * 16 + (size_t)d;
  }
  if (p == w->raw_len)
    return 0;
  if (digits == 0 || (w->raw[p] != '\r' && w->raw[p] != ';'))
    return -1;
  const char *eol = memmem(w->raw + p, w->raw_len - p, "\r\n", 2);
  if (!eol)
    return 0;
  *at = (size_t)(eol - w->raw) + 2;
  return 1;
}

/* Copies chunk after chunk until the last one, the end or a bad size. */
static void dechunk(cft_wire *w) {
  size_t at = w->head_len, size = 0;
  w->body = cft_memdup("", 0);
  for (;;) {
    w->end = at;
    int got = chunk_size(w, &at, &size);
    if (got < 0) {
      w->chunk_error = true;
      w->chunk_error_at = w->end;
    }
    if (got <= 0)
      return;
    size_t have = w->raw_len - at, take = size < have ? size : have;
    w->body = cft_realloc(w->body, w->body_len + take + 1, 1);
    memcpy(w->body + w->body_len, w->raw + at, take);
    w->body_len += take;
    w->body[w->body_len] = '\0';
    w->end = at + take;
    if (have < size + 2)
      return;
    at += size + 2;
    if (size == 0) {
      w->complete = true;
      w->end = at;
      return;
    }
  }
}

static void plain_body(cft_wire *w, const char *method) {
  const char *length = cft_wire_header(w, "Content-Length");
  size_t have = w->raw_len - w->head_len, take = have;
  if (strcmp(method, "HEAD") == 0 || w->status == 204 || w->status == 304) {
    take = 0;
    w->complete = true;
  } else if (length) {
    unsigned long long n = strtoull(length, NULL, 10);
    w->complete = n <= have;
    take = w->complete ? (size_t)n : have;
  }
  w->body = cft_memdup(w->raw + w->head_len, take);
  w->body_len = take;
  w->end = w->head_len + take;
}

static void clear_headers(cft_wire *w) {
  for (size_t i = 0; i < w->header_count; i++) {
    free(w->headers[i].name);
    free(w->headers[i].value);
  }
  free(w->headers);
  w->headers = NULL;
  w->header_count = 0;
}

/* Parses w->raw. An empty recording is fine: status 0, no body. */
static bool parse(cft_wire *w, const char *method) {
  size_t at = 0;
  do {
    clear_headers(w);
    at = w->raw_len ? read_head(w, at) : 0;
  } while (at && w->status >= 100 && w->status < 200);
  if (!at) {
    w->body = cft_memdup("", 0);
    return w->raw_len == 0;
  }
  w->head_len = at;
  const char *coding = cft_wire_header(w, "Transfer-Encoding");
  w->chunked = coding && strcasecmp(coding, "chunked") == 0;
  if (w->chunked && strcmp(method, "HEAD") != 0)
    dechunk(w);
  else
    plain_body(w, method);
  return true;
}

bool cft_wire_parse(const char *method, const void *raw, size_t len,
                    cft_wire *w) {
  memset(w, 0, sizeof *w);
  w->raw = cft_memdup(raw, len);
  w->raw_len = len;
  return parse(w, method);
}

/* ---- files ---- */

static char *read_part(const char *name, const char *suffix, size_t *len) {
  char path[PATH_MAX], file[NAME_MAX];
  int n = snprintf(file, sizeof file, "wire/%s.%s", name, suffix);
  bool fits = n < (int)sizeof file && cft_data_path(file, path, sizeof path);
  char *data = fits ? cft_read_file(path, len) : NULL;
  if (!data)
    fprintf(stderr, "test support: cannot read the recording %s\n", name);
  return data;
}

/* The byte counts of NAME.times, added up. */
static bool read_splits(cft_wire *w) {
  size_t cap = 0, at = 0;
  char *times = read_part(w->name, "times", NULL), *save = NULL;
  if (!times)
    return false;
  for (char *line = strtok_r(times, "\n", &save); line;
       line = strtok_r(NULL, "\n", &save)) {
    const char *bytes = line[0] == '#' ? NULL : strchr(line, ' ');
    if (!bytes)
      continue;
    at += (size_t)strtoull(bytes, NULL, 10);
    w->splits = cft_room(w->splits, w->split_count, &cap, sizeof *w->splits);
    w->splits[w->split_count++] = at;
  }
  free(times);
  return at == w->raw_len;
}

bool cft_wire_load(const char *name, cft_wire *w) {
  char method[8] = "";
  memset(w, 0, sizeof *w);
  w->name = cft_strdup(name);
  w->request = read_part(name, "request", &w->request_len);
  w->raw = w->request ? read_part(name, "response", &w->raw_len) : NULL;
  if (!w->raw || !read_splits(w)) {
    cft_wire_clear(w);
    return false;
  }
  for (size_t i = 0; i < sizeof method - 1 && w->request[i] > ' '; i++)
    method[i] = w->request[i];
  if (parse(w, method))
    return true;
  fprintf(stderr, "test support: the recording %s has no HTTP head\n", name);
  cft_wire_clear(w);
  return false;
}

void cft_wire_clear(cft_wire *w) {
  clear_headers(w);
  free(w->name);
  free(w->request);
  free(w->raw);
  free(w->body);
  free(w->splits);
  memset(w, 0, sizeof *w);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

char **cft_wire_list(const char *prefix, size_t *count) {
  char path[PATH_MAX], **names = cft_calloc(1, sizeof *names);
  size_t n = 0, plen = strlen(prefix), suffix = strlen(".response");
  DIR *dir = cft_data_path("wire", path, sizeof path) ? opendir(path) : NULL;
  for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
    size_t len = strlen(e->d_name);
    if (len <= suffix || strcmp(e->d_name + len - suffix, ".response") != 0 ||
        strncmp(e->d_name, prefix, plen) != 0)
      continue;
    names = cft_realloc(names, n + 2, sizeof *names);
    names[n++] = cft_memdup(e->d_name, len - suffix);
    names[n] = NULL;
  }
  if (dir)
    closedir(dir);
  if (n > 1)
    qsort(names, n, sizeof *names, by_name);
  if (count)
    *count = n;
  return names;
}

void cft_wire_list_free(char **names) {
  for (size_t i = 0; names && names[i]; i++)
    free(names[i]);
  free(names);
}
