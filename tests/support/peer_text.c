/* A growing text for what the peer sends: see peer_int.h. */
#include "mem.h"
#include "peer_int.h"

void cft_text_add(cft_text *text, const char *data, size_t len) {
  if (len >= text->cap - text->len) {
    size_t cap = text->cap ? text->cap : 256;
    while (cap - text->len <= len)
      cap *= 2;
    text->data = cft_realloc(text->data, cap, 1);
    text->cap = cap;
  }
  if (len)
    memcpy(text->data + text->len, data, len);
  text->len += len;
  text->data[text->len] = '\0';
}

void cft_text_adds(cft_text *text, const char *s) {
  cft_text_add(text, s, strlen(s));
}

void cft_text_vaddf(cft_text *text, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  if (n >= 0) {
    char *room = cft_calloc((size_t)n + 1, 1);
    vsnprintf(room, (size_t)n + 1, format, again);
    cft_text_add(text, room, (size_t)n);
    free(room);
  }
  va_end(again);
}

void cft_text_addf(cft_text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  cft_text_vaddf(text, format, args);
  va_end(args);
}

void cft_text_json(cft_text *text, const char *s) {
  cft_text_add(text, "\"", 1);
  for (const char *p = s; *p; p++) {
    unsigned char c = (unsigned char)*p;
    if (c == '"' || c == '\\')
      cft_text_add(text, "\\", 1);
    if (c < 0x20)
      cft_text_addf(text, "\\u%04x", c);
    else
      cft_text_add(text, p, 1);
  }
  cft_text_add(text, "\"", 1);
}

void cft_text_free(cft_text *text) {
  free(text->data);
  *text = (cft_text){NULL, 0, 0};
}
