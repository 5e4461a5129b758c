/*
 * The public functions of snapshots that are read as files, for those who have
 * no mirror: what is in them and what they are of. Writes nothing.
 */
#include <string.h>

#include "mirror_file.h"
#include "mirror_state.h"

struct changefeed_snapshot {
  cfi_alloc alloc;
  cfi_tree *tree;
  cfi_checkpoint position; /* feed: what it is of */
  char *from, *to;
  cfi_error error;
};

/* ---- what it is of ---- */

static int hex_value(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                : -1;
}

/* One character of a quoted bound; false: it is not as a mirror writes it. */
static bool unquote(const char **at, char *out) {
  const char *p = *at;

  if (*p != '\\') {
    *out = *p;
    *at = p + 1;
    return *p != '\0';
  }
  if (p[1] == '"' || p[1] == '\\') {
    *out = p[1];
    *at = p + 2;
    return true;
  }
  if (strncmp(p, "\\u00", 4) != 0 || hex_value(p[4]) < 0 || hex_value(p[5]) < 0)
    return false;
  *out = (char)(hex_value(p[4]) << 4 | hex_value(p[5]));
  *at = p + 6;
  return true;
}

/* Reads word and the bound in quotes behind it, where they stand. */
static bool take_bound(changefeed_snapshot *s, const char **at,
                       const char *word, char **bound) {
  const char *p = *at;
  size_t len = 0;
  bool ok = true;
  char c;

  if (strncmp(p, word, strlen(word)) != 0)
    return true;
  p += strlen(word);
  *bound = cfi_malloc(&s->alloc, strlen(p) + 1);
  if (*bound == NULL)
    return false;
  while (*p != '"' && (ok = unquote(&p, &c)))
    (*bound)[len++] = c;
  (*bound)[len] = '\0';
  if (!ok) {
    cfi_free(&s->alloc, *bound);
    *bound = NULL;
  }
  *at = ok ? p + 1 : p;
  return true;
}

/* "revisions from "a" to "b" of DATABASE" */
static bool take_range(changefeed_snapshot *s) {
  const char *at = s->position.feed + strcspn(s->position.feed, " ");

  return take_bound(s, &at, " from \"", &s->from) &&
         take_bound(s, &at, " to \"", &s->to);
}

/* ---- opening and closing ---- */

static int no_memory(changefeed_snapshot *s) {
  return cfi_error_set(&s->error, CHANGEFEED_ERR_NOMEM, "no memory");
}

static int load(changefeed_snapshot *s, const char *path) {
  cfi_mirror_file *file = NULL;
  int rc = cfi_mirror_file_open(&s->alloc, path, CFI_MIRROR_FILE_READ, &file,
                                &s->error);

  if (rc == CHANGEFEED_OK)
    rc = cfi_mirror_file_load(file, NULL, NULL, s->tree, &s->position,
                              &s->error);
  cfi_mirror_file_close(file);
  if (rc == CHANGEFEED_END)
    return cfi_error_set(&s->error, CHANGEFEED_ERR_STORE,
                         "There is no snapshot %s.", path);
  if (rc == CHANGEFEED_OK && !(take_range(s) && cfi_tree_publish(s->tree)))
    return no_memory(s);
  return rc;
}

int changefeed_snapshot_open(changefeed_snapshot **out, const char *path) {
  changefeed_snapshot *s;
  cfi_alloc alloc;
  int rc;

  if (out == NULL)
    return CHANGEFEED_ERR_INVALID;
  *out = NULL;
  if (path == NULL || !cfi_alloc_init(&alloc, NULL))
    return CHANGEFEED_ERR_INVALID;
  s = cfi_calloc(&alloc, 1, sizeof *s);
  if (s == NULL)
    return CHANGEFEED_ERR_NOMEM;
  s->alloc = alloc;
  cfi_error_clear(&s->error);
  s->tree = cfi_tree_new(&s->alloc, NULL);
  rc = s->tree != NULL ? load(s, path) : CHANGEFEED_ERR_NOMEM;
  if (rc == CHANGEFEED_ERR_NOMEM) {
    changefeed_snapshot_close(s);
    return rc;
  }
  *out = s;
  return rc;
}

void changefeed_snapshot_close(changefeed_snapshot *snapshot) {
  cfi_alloc alloc;

  if (snapshot == NULL)
    return;
  alloc = snapshot->alloc;
  cfi_tree_free(snapshot->tree);
  cfi_checkpoint_free(&alloc, &snapshot->position);
  cfi_free(&alloc, snapshot->from);
  cfi_free(&alloc, snapshot->to);
  cfi_free(&alloc, snapshot);
}

/* ---- what is in it ---- */

const char *changefeed_snapshot_error(const changefeed_snapshot *snapshot) {
  return snapshot != NULL ? snapshot->error.text : "";
}

const changefeed_view *changefeed_snapshot_view(changefeed_snapshot *snapshot) {
  return snapshot != NULL
             ? (const changefeed_view *)(const void *)cfi_tree_acquire(
                   snapshot->tree)
             : NULL;
}

int changefeed_snapshot_get_info(const changefeed_snapshot *snapshot,
                                 changefeed_snapshot_info *info) {
  changefeed_snapshot_info all = CHANGEFEED_SNAPSHOT_INFO_INIT;

  if (snapshot == NULL || info == NULL || info->size < sizeof info->size)
    return CHANGEFEED_ERR_INVALID;
  if (snapshot->error.pub.code != CHANGEFEED_OK)
    return CHANGEFEED_ERR_STATE;
  all.what = snapshot->position.feed;
  all.from = snapshot->from;
  all.to = snapshot->to;
  all.position = snapshot->position.seq;
  all.saved_ms = snapshot->position.saved_ms;
  all.size = info->size < sizeof all ? info->size : sizeof all;
  memcpy(info, &all, all.size);
  return CHANGEFEED_OK;
}
