/*
 * A document of one object: _id, _rev, type, format, and history, a list of
 * {session, record} with the newest run first.
 */
#include "store_couch.h"

#include <errno.h>
#include <string.h>

#include "hash.h"
#include "json.h"
#include "str.h"

static const char TYPE[] = "changefeed-checkpoint";
enum { MAX_DEPTH = 32, FORMAT = 1, HISTORY_BYTES = 256 * 1024 };

char *cfi_couch_name(const cfi_alloc *alloc, const char *key) {
  static const unsigned char hash_key[16] = "changefeed local";
  char text[CFI_HASH_TEXT];
  cfi_buf name;

  cfi_hash_text(cfi_hash_of(hash_key, key, strlen(key)), text);
  cfi_buf_init(&name, alloc);
  cfi_buf_puts(&name, "changefeed-");
  cfi_buf_puts(&name, text);
  return cfi_buf_take(&name);
}

static void free_entry(const cfi_alloc *alloc, cfi_couch_entry *e) {
  cfi_free(alloc, e->session);
  cfi_free(alloc, e->record);
  e->session = e->record = NULL;
}

void cfi_couch_doc_free(const cfi_alloc *alloc, cfi_couch_doc *doc) {
  cfi_free(alloc, doc->rev);
  doc->rev = NULL;
  for (size_t i = 0; i < doc->count; i++)
    free_entry(alloc, &doc->entry[i]);
  doc->count = 0;
}

/* ---- reading ---- */

typedef enum member { NO_MEMBER, REV, DOC_TYPE, DOC_FORMAT, HISTORY } member;

typedef struct reading {
  const cfi_alloc *alloc;
  cfi_couch_doc doc;
  cfi_couch_entry entry; /* being read */
  member member;
  char **field; /* of entry, for the value that comes; NULL: skipped */
  bool ours, newer, no_memory;
} reading;

static void keep(reading *r, char **out, const cfi_json_event *e) {
  char *copy = cfi_strndup(r->alloc, e->text, e->len);

  r->no_memory = r->no_memory || copy == NULL;
  cfi_free(r->alloc, *out);
  *out = copy;
}

static void end_entry(reading *r) {
  if (r->entry.record != NULL && r->entry.session != NULL &&
      r->doc.count < CFI_COUCH_HISTORY)
    r->doc.entry[r->doc.count++] = r->entry;
  else
    free_entry(r->alloc, &r->entry);
  r->entry = (cfi_couch_entry){NULL, NULL};
}

static cfi_json_verdict in_history(reading *r, const cfi_json_event *e) {
  changefeed_str text = {e->text, e->len};

  switch (e->kind) {
  case CFI_JSON_KEY:
    r->field = cfi_str_equal(text, "session")  ? &r->entry.session
               : cfi_str_equal(text, "record") ? &r->entry.record
                                               : NULL;
    return r->field != NULL ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  case CFI_JSON_OBJECT_END:
    end_entry(r);
    return CFI_JSON_GO_ON;
  case CFI_JSON_STRING:
    if (e->depth == 3 && r->field != NULL)
      keep(r, r->field, e);
    return CFI_JSON_GO_ON;
  case CFI_JSON_OBJECT:
    return e->depth == 2 ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  case CFI_JSON_ARRAY:
    return CFI_JSON_SKIP;
  default:
    return CFI_JSON_GO_ON;
  }
}

static cfi_json_verdict at_key(reading *r, const cfi_json_event *e) {
  changefeed_str text = {e->text, e->len};

  r->member = cfi_str_equal(text, "_rev")      ? REV
              : cfi_str_equal(text, "type")    ? DOC_TYPE
              : cfi_str_equal(text, "format")  ? DOC_FORMAT
              : cfi_str_equal(text, "history") ? HISTORY
                                               : NO_MEMBER;
  return r->member != NO_MEMBER ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
}

static cfi_json_verdict at_value(reading *r, const cfi_json_event *e) {
  changefeed_str text = {e->text, e->len};
  int64_t format = 0;

  if (r->member == REV && e->kind == CFI_JSON_STRING)
    keep(r, &r->doc.rev, e);
  else if (r->member == DOC_TYPE && e->kind == CFI_JSON_STRING)
    r->ours = cfi_str_equal(text, TYPE);
  else if (r->member == DOC_FORMAT && e->kind == CFI_JSON_NUMBER)
    r->newer = !cfi_str_to_int(e->text, e->len, &format) || format > FORMAT;
  else if (r->member == HISTORY && e->kind == CFI_JSON_ARRAY)
    return CFI_JSON_GO_ON;
  return CFI_JSON_SKIP;
}

static cfi_json_verdict on_event(void *user, const cfi_json_event *e) {
  reading *r = user;

  if (r->no_memory)
    return CFI_JSON_STOP;
  if (e->depth == 0)
    return e->kind == CFI_JSON_OBJECT || e->kind == CFI_JSON_OBJECT_END
               ? CFI_JSON_GO_ON
               : CFI_JSON_STOP;
  if (e->depth >= 2)
    return in_history(r, e);
  return e->kind == CFI_JSON_KEY ? at_key(r, e) : at_value(r, e);
}

int cfi_couch_doc_parse(const cfi_alloc *alloc, const char *text, size_t len,
                        cfi_couch_doc *out, cfi_error *error) {
  reading r = {.alloc = alloc};
  cfi_json_result result =
      cfi_json_parse(alloc, MAX_DEPTH, text, len, on_event, &r);

  free_entry(alloc, &r.entry);
  if (result == CFI_JSON_OK && r.ours && !r.newer && r.doc.rev != NULL) {
    *out = r.doc;
    return CHANGEFEED_OK;
  }
  cfi_couch_doc_free(alloc, &r.doc);
  if (result == CFI_JSON_NOMEM || r.no_memory)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  return cfi_error_set(error, CHANGEFEED_ERR_STORE, "%s",
                       r.ours && r.newer
                           ? "it was written by a newer version of this library"
                           : "it is not a checkpoint document of this library");
}

/* ---- writing ---- */

static void put_string(cfi_buf *out, const char *text) {
  static const char digits[] = "0123456789abcdef";

  cfi_buf_putc(out, '"');
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;

    if (c == '\n') {
      cfi_buf_puts(out, "\\n");
    } else if (c < 0x20) {
      cfi_buf_puts(out, "\\u00");
      cfi_buf_putc(out, digits[c >> 4]);
      cfi_buf_putc(out, digits[c & 15]);
    } else {
      if (c == '"' || c == '\\')
        cfi_buf_putc(out, '\\');
      cfi_buf_putc(out, *text);
    }
  }
  cfi_buf_putc(out, '"');
}

static void put_member(cfi_buf *out, const char *name, const char *value) {
  cfi_buf_putc(out, '"');
  cfi_buf_puts(out, name);
  cfi_buf_puts(out, "\":");
  put_string(out, value);
}

bool cfi_couch_doc_write(const cfi_couch_doc *doc, const char *name,
                         cfi_buf *out) {
  cfi_buf_puts(out, "{\"_id\":\"_local/");
  cfi_buf_puts(out, name);
  cfi_buf_puts(out, "\",");
  if (doc->rev != NULL) {
    put_member(out, "_rev", doc->rev);
    cfi_buf_putc(out, ',');
  }
  put_member(out, "type", TYPE);
  cfi_buf_puts(out, ",\"format\":");
  cfi_buf_putint(out, FORMAT);
  cfi_buf_puts(out, ",\"history\":[");
  for (size_t i = 0; i < doc->count; i++) {
    cfi_buf_puts(out, i != 0 ? ",{" : "{");
    put_member(out, "session", doc->entry[i].session);
    cfi_buf_putc(out, ',');
    put_member(out, "record", doc->entry[i].record);
    cfi_buf_putc(out, '}');
  }
  cfi_buf_puts(out, "]}");
  return cfi_buf_text(out) != NULL;
}

/* A record holds the selector it is for, which may be long. */
static void drop_old(const cfi_alloc *alloc, cfi_couch_doc *doc) {
  size_t size = strlen(doc->entry[0].record);

  for (size_t i = 1; i < doc->count; i++) {
    size_t len = strlen(doc->entry[i].record);

    if (len > HISTORY_BYTES - (size < HISTORY_BYTES ? size : HISTORY_BYTES)) {
      while (doc->count > i)
        free_entry(alloc, &doc->entry[--doc->count]);
      return;
    }
    size += len;
  }
}

bool cfi_couch_doc_put(const cfi_alloc *alloc, cfi_couch_doc *doc,
                       const char *session, const char *record, size_t len) {
  cfi_couch_entry e = {cfi_strdup(alloc, session),
                       cfi_strndup(alloc, record, len)};

  if (e.session == NULL || e.record == NULL) {
    free_entry(alloc, &e);
    return false;
  }
  if (doc->count != 0 && strcmp(doc->entry[0].session, session) == 0) {
    free_entry(alloc, &doc->entry[0]);
  } else {
    if (doc->count == CFI_COUCH_HISTORY)
      free_entry(alloc, &doc->entry[--doc->count]);
    memmove(doc->entry + 1, doc->entry, doc->count * sizeof *doc->entry);
    doc->count++;
  }
  doc->entry[0] = e;
  drop_old(alloc, doc);
  return true;
}

/* ---- the position ---- */

int cfi_couch_doc_position(const cfi_alloc *alloc, const cfi_couch_doc *doc,
                           const char *name, cfi_checkpoint *out,
                           cfi_error *warning, cfi_error *error) {
  cfi_error first, one;
  int rc = CHANGEFEED_END;

  cfi_error_clear(warning);
  cfi_error_clear(&first);
  for (size_t i = 0; i < doc->count; i++) {
    const char *record = doc->entry[i].record;

    rc = cfi_checkpoint_decode(alloc, record, strlen(record), out, &one);
    if (rc == CHANGEFEED_OK && i != 0)
      (void)cfi_error_set(warning, CHANGEFEED_ERR_STORE,
                          "The newest position in _local/%s cannot be read: "
                          "%s An older one is used.",
                          name, first.text);
    if (rc != CHANGEFEED_ERR_STORE)
      break;
    if (i == 0)
      cfi_error_copy(&first, &one);
    /* One that is whole and newer than this library must not be passed over. */
    if (!cfi_checkpoint_is_damage(&one))
      break;
  }
  if (rc == CHANGEFEED_ERR_STORE) {
    (void)cfi_error_set(error, rc, "_local/%s: %s", name, one.text);
    error->pub.sys_errno = one.pub.sys_errno;
  } else if (rc == CHANGEFEED_ERR_NOMEM) {
    cfi_error_copy(error, &one);
  }
  return rc;
}
