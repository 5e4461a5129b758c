/* Documents of one database; see docs.h. What matters is what an answer means
   to the writer: done by this call, not done, or nobody knows. */
#include "common/docs.h"
#include "common/log.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, ID_SIZE = 1024, PATH_SIZE = 2 * ID_SIZE };

struct docs {
  rest *rest;
  char db[ID_SIZE]; /* "/name", escaped */
};

static bool is_db_name(const char *s) {
  if (*s != '_' && !(*s >= 'a' && *s <= 'z'))
    return false;
  for (; *s != '\0'; s++)
    if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') &&
        strchr("_$()+/-", *s) == NULL)
      return false;
  return true;
}

docs *docs_new(const rest_config *config, const char *db, char *error,
               size_t error_size) {
  docs *d = calloc(1, sizeof *d);

  if (d == NULL) {
    (void)snprintf(error, error_size, "There is not enough memory.");
    return NULL;
  }
  d->db[0] = '/';
  if (!is_db_name(db) || !rest_escape(db, d->db + 1, sizeof d->db - 1)) {
    (void)snprintf(error, error_size, "\"%.100s\" is no name of a database.",
                   db);
    free(d);
    return NULL;
  }
  d->rest = rest_new(config, error, error_size);
  if (d->rest == NULL) {
    free(d);
    return NULL;
  }
  return d;
}

void docs_free(docs *d) {
  if (d == NULL)
    return;
  rest_free(d->rest);
  free(d);
}

rest *docs_rest(docs *d) { return d->rest; }

/* ---- what an answer means ---- */

static enum docs_result result_of(int status) {
  switch (status) {
  case 200:
  case 201:
    return DOCS_OK;
  case 202:
    return DOCS_ACCEPTED;
  case 404:
    return DOCS_MISSING;
  case 409:
  case 412:
    return DOCS_CONFLICT;
  case 0:
  case 408: /* somebody between us and the database was tired of waiting */
  case 429:
    return DOCS_UNKNOWN;
  default:
    return status >= 500 ? DOCS_UNKNOWN : DOCS_REFUSED;
  }
}

static enum docs_result answered(const rest_reply *reply, docs_answer *answer) {
  memset(answer, 0, sizeof *answer);
  answer->status = reply->status;
  answer->took_ms = reply->took_ms;
  answer->retry_after_ms = reply->retry_after_ms;
  memcpy(answer->error, reply->error, sizeof answer->error);
  return result_of(reply->status);
}

static bool take_rev(const json_t *rev, docs_answer *answer) {
  size_t len = json_string_length(rev);

  if (!json_is_string(rev) || len == 0 || len >= sizeof answer->rev)
    return false;
  memcpy(answer->rev, json_string_value(rev), len);
  answer->rev[len] = '\0';
  return true;
}

/* A page of a proxy that says 200 is no written document. */
static enum docs_result written(const docs *d, const char *id,
                                rest_reply *reply, docs_answer *answer) {
  enum docs_result result = answered(reply, answer);

  if (result == DOCS_ACCEPTED)
    (void)snprintf(answer->error, sizeof answer->error,
                   "%.60s%.40s/%.100s was only accepted (202).",
                   rest_url(d->rest), d->db, id);
  if ((result == DOCS_OK || result == DOCS_ACCEPTED) &&
      !take_rev(json_object_get(reply->body, "rev"), answer)) {
    (void)snprintf(answer->error, sizeof answer->error,
                   "%.60s%.40s/%.80s was answered with %d and no revision.",
                   rest_url(d->rest), d->db, id, reply->status);
    result = DOCS_UNKNOWN;
  }
  rest_reply_free(reply);
  return result;
}

/* /DB/ID?NAME=VALUE; a design or local document keeps its slash. */
static bool path_of(const docs *d, const char *id, const char *name,
                    const char *value, char out[PATH_SIZE],
                    docs_answer *answer) {
  char escaped[ID_SIZE], of_value[ID_SIZE] = "";
  const char *rest_of = id, *folder = "";
  int len;

  if (strncmp(id, "_design/", 8) == 0 || strncmp(id, "_local/", 7) == 0) {
    folder = id[1] == 'd' ? "_design/" : "_local/";
    rest_of = id + strlen(folder);
  }
  if (*rest_of != '\0' && rest_escape(rest_of, escaped, sizeof escaped) &&
      (value == NULL || rest_escape(value, of_value, sizeof of_value))) {
    len = snprintf(out, PATH_SIZE, "%s/%s%s%s%s%s%s", d->db, folder, escaped,
                   name != NULL ? "?" : "", name != NULL ? name : "",
                   value != NULL ? "=" : "", of_value);
    if (len > 0 && len < PATH_SIZE)
      return true;
  }
  memset(answer, 0, sizeof *answer);
  (void)snprintf(answer->error, sizeof answer->error,
                 "A document cannot have the name \"%.100s\".", id);
  return false;
}

/* ---- one document ---- */

enum docs_result docs_get(docs *d, const char *id, json_t **doc,
                          docs_answer *answer) {
  enum docs_result result;
  char path[PATH_SIZE];
  rest_reply reply;

  *doc = NULL;
  if (!path_of(d, id, "conflicts", "true", path, answer))
    return DOCS_REFUSED;
  (void)rest_call(d->rest, "GET", path, NULL, &reply);
  result = answered(&reply, answer);
  if (result == DOCS_OK || result == DOCS_ACCEPTED) {
    result = DOCS_OK;
    if (take_rev(json_object_get(reply.body, "_rev"), answer)) {
      *doc = json_incref(reply.body);
    } else {
      result = DOCS_REFUSED;
      (void)snprintf(answer->error, sizeof answer->error,
                     "%.60s%.40s/%.80s was answered with what is no document.",
                     rest_url(d->rest), d->db, id);
    }
  }
  rest_reply_free(&reply);
  return result;
}

/* Of the only row that was asked for. */
static enum docs_result tombstone_in(const json_t *body) {
  const json_t *row = json_array_get(json_object_get(body, "rows"), 0);
  const json_t *value = json_object_get(row, "value");
  const char *error = json_string_value(json_object_get(row, "error"));

  if (error != NULL && strcmp(error, "not_found") == 0)
    return DOCS_MISSING;
  if (!json_is_string(json_object_get(value, "rev")))
    return DOCS_UNKNOWN;
  return json_is_true(json_object_get(value, "deleted")) ? DOCS_OK
                                                         : DOCS_CONFLICT;
}

/* By the list, which all servers answer alike: not all of them say of a
   document alone that it was deleted. */
enum docs_result docs_find_tombstone(docs *d, const char *id,
                                     docs_answer *answer) {
  enum docs_result result;
  char path[PATH_SIZE];
  rest_reply reply;
  json_t *keys;

  if (!path_of(d, id, NULL, NULL, path, answer))
    return DOCS_REFUSED;
  (void)snprintf(path, sizeof path, "%s/_all_docs", d->db);
  keys = json_pack("{s:[s]}", "keys", id);
  (void)rest_call(d->rest, "POST", path, keys, &reply);
  json_decref(keys);
  result = answered(&reply, answer);
  if (result == DOCS_OK || result == DOCS_ACCEPTED) {
    result = tombstone_in(reply.body);
    if (result == DOCS_UNKNOWN)
      (void)snprintf(answer->error, sizeof answer->error,
                     "%.60s%.40s/_all_docs was answered with what is no list.",
                     rest_url(d->rest), d->db);
  } else if (result == DOCS_MISSING) {
    result = DOCS_UNKNOWN; /* the database, not the document */
  }
  rest_reply_free(&reply);
  return result;
}

enum docs_result docs_put(docs *d, const char *id, const json_t *doc,
                          docs_answer *answer) {
  char path[PATH_SIZE];
  rest_reply reply;

  if (!path_of(d, id, NULL, NULL, path, answer))
    return DOCS_REFUSED;
  (void)rest_call(d->rest, "PUT", path, doc, &reply);
  return written(d, id, &reply, answer);
}

enum docs_result docs_delete(docs *d, const char *id, const char *rev,
                             docs_answer *answer) {
  char path[PATH_SIZE];
  rest_reply reply;

  if (!path_of(d, id, "rev", rev, path, answer))
    return DOCS_REFUSED;
  (void)rest_call(d->rest, "DELETE", path, NULL, &reply);
  return written(d, id, &reply, answer);
}

/* ---- many ---- */

typedef struct walk {
  docs *docs;
  const char *prefix;
  bool (*each)(void *ctx, const json_t *doc);
  void *ctx;
  docs_answer *answer;
  char *last; /* the id that was told last, NULL at the beginning */
  bool stopped;
} walk;

/* A JSON string as the value of a query. */
static void add_key(text *path, const char *name, const char *key, size_t len) {
  json_t *string = json_stringn(key, len);
  char *json = json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
  char *escaped = json != NULL ? malloc(3 * strlen(json) + 4) : NULL;

  if (escaped != NULL && rest_escape(json, escaped, 3 * strlen(json) + 4)) {
    text_printf(path, "&%s=", name);
    text_str(path, escaped);
  } else {
    path->failed = true;
  }
  free(escaped);
  free(json);
  json_decref(string);
}

/* The page begins with the last one told: "and skip one" would skip another
   when that one is gone by then. */
static void make_page_path(const walk *w, bool with_docs, text *path) {
  size_t len = strlen(w->prefix);
  char *end = strdup(w->prefix);

  text_clear(path);
  text_printf(path, "%s/_all_docs?limit=%d&include_docs=%s", w->docs->db,
              PAGE + 1, with_docs ? "true" : "false");
  if (w->last != NULL)
    add_key(path, "startkey", w->last, strlen(w->last));
  else if (len != 0)
    add_key(path, "startkey", w->prefix, len);
  if (end == NULL) {
    path->failed = true;
  } else if (len != 0 && (end[len - 1] & 0x80) == 0 && end[len - 1] < 0x7e) {
    end[len - 1]++; /* behind all that begin so */
    add_key(path, "endkey", end, len);
    text_str(path, "&inclusive_end=false");
  }
  free(end);
}

/* Tells a document that came alone, as the whole page was no JSON. One that
   cannot be read is somebody's mistake and must not hide the others. */
static enum docs_result tell_alone(walk *w, const char *id) {
  enum docs_result result;
  json_t *doc;

  result = docs_get(w->docs, id, &doc, w->answer);
  if (result == DOCS_OK)
    w->stopped = !w->each(w->ctx, doc);
  else if (result == DOCS_REFUSED)
    log_event(LOG_WARN, "document.unreadable", LS("id", id),
              LS("why", w->answer->error));
  json_decref(doc);
  return result == DOCS_UNKNOWN ? result : DOCS_OK;
}

static enum docs_result tell_row(walk *w, const json_t *row, bool with_docs) {
  const json_t *key = json_object_get(row, "id");
  const json_t *doc = json_object_get(row, "doc");
  const char *id = json_string_value(key);

  if (id == NULL || json_string_length(key) != strlen(id) ||
      strncmp(id, w->prefix, strlen(w->prefix)) != 0)
    return DOCS_OK;
  if (w->last != NULL && strcmp(id, w->last) == 0)
    return DOCS_OK;
  free(w->last);
  w->last = strdup(id);
  if (w->last == NULL)
    return DOCS_UNKNOWN;
  if (!with_docs)
    return tell_alone(w, id);
  if (json_is_object(doc))
    w->stopped = !w->each(w->ctx, doc);
  return DOCS_OK;
}

/* *more: there may be another page. */
static enum docs_result tell_page(walk *w, const json_t *rows, bool with_docs,
                                  bool *more) {
  enum docs_result result = DOCS_OK;
  size_t count = json_array_size(rows);
  char *before = w->last != NULL ? strdup(w->last) : NULL;

  for (size_t i = 0; i < count && result == DOCS_OK && !w->stopped; i++)
    result = tell_row(w, json_array_get(rows, i), with_docs);
  /* A server that does not move on would be asked for ever. */
  *more = count > PAGE && w->last != NULL &&
          (before == NULL || strcmp(before, w->last) != 0);
  free(before);
  return result;
}

static enum docs_result read_page(walk *w, bool with_docs, text *path,
                                  bool *more) {
  enum docs_result result;
  const json_t *rows;
  rest_reply reply;

  *more = false;
  make_page_path(w, with_docs, path);
  if (path->failed) {
    memset(w->answer, 0, sizeof *w->answer);
    (void)snprintf(w->answer->error, sizeof w->answer->error,
                   "There is not enough memory to list documents.");
    return DOCS_UNKNOWN;
  }
  (void)rest_call(docs_rest(w->docs), "GET", text_get(path), NULL, &reply);
  result = answered(&reply, w->answer);
  rows = json_object_get(reply.body, "rows");
  if (result == DOCS_OK && json_is_array(rows)) {
    result = tell_page(w, rows, with_docs, more);
  } else if (result == DOCS_OK && with_docs && reply.body == NULL) {
    result = read_page(w, false, path, more);
  } else if (result == DOCS_OK) {
    result = DOCS_REFUSED;
    (void)snprintf(w->answer->error, sizeof w->answer->error,
                   "%.60s%.40s/_all_docs was answered with what is no list.",
                   rest_url(w->docs->rest), w->docs->db);
  }
  rest_reply_free(&reply);
  return result;
}

enum docs_result docs_each(docs *d, const char *prefix,
                           bool (*each)(void *ctx, const json_t *doc),
                           void *ctx, docs_answer *answer) {
  walk w = {d, prefix, each, ctx, answer, NULL, false};
  enum docs_result result;
  text path = TEXT_INIT;
  bool more;

  do {
    result = read_page(&w, true, &path, &more);
  } while (result == DOCS_OK && more && !w.stopped);
  text_free(&path);
  free(w.last);
  return result;
}

enum docs_result docs_create_db(docs *d, int n, docs_answer *answer) {
  char path[PATH_SIZE];
  enum docs_result result;
  rest_reply reply;

  if (n > 0)
    (void)snprintf(path, sizeof path, "%s?n=%d", d->db, n);
  else
    (void)snprintf(path, sizeof path, "%s", d->db);
  (void)rest_call(d->rest, "PUT", path, NULL, &reply);
  result = answered(&reply, answer);
  rest_reply_free(&reply);
  return result;
}
