/*
 * Lines on standard output.
 */
#include "lines.h"

#include <string.h>

#include "stopper.h"

enum { PATIENT_BYTES = 256 * 1024 };

void lines_init(lines *l, const args *a, console *c) {
  memset(l, 0, sizeof *l);
  l->json = a->mirror.json;
  l->console = c;
}

void lines_free(lines *l) { text_free(&l->text); }

/* ---- JSON ---- */

void json_begin(lines *l, const char *type) {
  text_trim(&l->text);
  text_printf(&l->text, "{\"type\":\"%s\"", type);
}

void json_str(lines *l, const char *name, changefeed_str value) {
  text_printf(&l->text, ",\"%s\":", name);
  if (value.data != NULL)
    text_put_json(&l->text, value.data, value.len);
  else
    text_puts(&l->text, "null");
}

void json_text(lines *l, const char *name, const char *value) {
  json_str(l, name, (changefeed_str){value, value != NULL ? strlen(value) : 0});
}

void json_int(lines *l, const char *name, uint64_t value) {
  text_printf(&l->text, ",\"%s\":%llu", name, (unsigned long long)value);
}

void json_digest(lines *l, const changefeed_digest *digest) {
  char text[CHANGEFEED_DIGEST_TEXT];

  json_text(l, "digest", changefeed_digest_text(digest, text));
}

void json_end(lines *l) {
  text_putc(&l->text, '}');
  lines_send(l);
}

/* ---- lines ---- */

void line_begin(lines *l) { text_trim(&l->text); }

void lines_send(lines *l) {
  /* Not 0: a line is not to be dropped when many wait. */
  if (!text_ok(&l->text) ||
      !console_row(l->console, l->text.data, l->text.len, 1))
    l->no_memory = true;
  l->waiting += l->text.len;
}

static void put_doc(textbuf *t, changefeed_str doc) {
  if (has_line_break(doc.data, doc.len))
    text_put_compact(t, doc.data, doc.len);
  else
    text_put(t, doc.data, doc.len);
}

void lines_entry(lines *l, const char *type, const char *mark,
                 const changefeed_entry *entry) {
  bool doc = entry->doc.data != NULL && strcmp(type, "gone") != 0;

  if (l->json) {
    json_begin(l, type);
    json_str(l, "id", entry->id);
    json_str(l, "rev", entry->rev);
    if (doc) {
      text_puts(&l->text, ",\"doc\":");
      put_doc(&l->text, entry->doc);
    }
    json_end(l);
    return;
  }
  line_begin(l);
  text_puts(&l->text, mark);
  text_put_escaped(&l->text, entry->id);
  text_putc(&l->text, '\t');
  text_put_escaped(&l->text, entry->rev);
  if (doc) {
    text_putc(&l->text, '\t');
    put_doc(&l->text, entry->doc);
  }
  lines_send(l);
}

void lines_digest(lines *l, const changefeed_digest *digest, uint64_t count,
                  const char *of) {
  char text[CHANGEFEED_DIGEST_TEXT];

  if (l->json) {
    json_begin(l, "digest");
    json_digest(l, digest);
    json_int(l, "documents", count);
    json_text(l, "of", of);
    json_end(l);
    return;
  }
  line_begin(l);
  text_printf(&l->text, "%s %llu %s", changefeed_digest_text(digest, text),
              (unsigned long long)count, of);
  lines_send(l);
}

bool lines_go_on(lines *l) {
  sink *out = &l->console->out;

  if (l->no_memory || sink_error(out) != 0 || atomic_load(stopper_asked()))
    return false;
  if (l->waiting < PATIENT_BYTES)
    return true;
  l->waiting = 0;
  return sink_wait(out, -1, stopper_asked()) && sink_error(out) == 0;
}
