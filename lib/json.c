/*
 * yajl on a leash: its memory lies in an arena that is left by longjmp when
 * there is none, because yajl checks no allocation; depth is counted; and the
 * strings it is about to decode are looked at before.
 */
#include "json.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <yajl/yajl_parse.h>
#include <yajl/yajl_version.h>

#include "arena.h"
#include "str.h"

/* What yajl takes for an ordinary text: two buffers of 2 KiB and little else.
   It lies on the stack, so such a text costs no allocation. */
enum { SCRATCH = 6144 };

typedef struct reading {
  cfi_arena scratch; /* yajl's */
  size_t max_depth;
  const char *text;
  size_t len;
  cfi_json_handler *handler;
  void *user;
  yajl_handle handle;
  yajl_callbacks callbacks;
  size_t depth;
  size_t skip_depth; /* the depth inside what is being skipped; 0: nothing is */
  size_t skip_begin;
  bool skip_silent; /* no RAW at its end */
  bool skip_member; /* the value that comes is to be skipped */
  bool escapes;     /* there is a backslash in the text */
  bool ascii;       /* nothing but ASCII in the text */
  cfi_json_result result;
  jmp_buf no_memory;
} reading;

/* ---- memory for yajl ---- */

/* Its size stands before a piece, because realloc needs it. */
typedef union piece_head {
  size_t size;
  max_align_t align;
} piece_head;

static void *scratch_resize(void *ctx, void *block, size_t size) {
  reading *r = ctx;
  piece_head *head = block != NULL ? (piece_head *)block - 1 : NULL;
  size_t old_size = head != NULL ? head->size : 0;
  size_t full;

  if (!cfi_add(size, sizeof *head, &full))
    longjmp(r->no_memory, 1);
  head = cfi_arena_grow(&r->scratch, head, old_size, full);
  if (head == NULL)
    longjmp(r->no_memory, 1);
  head->size = full;
  return head + 1;
}

static void *scratch_malloc(void *ctx, size_t size) {
  return scratch_resize(ctx, NULL, size);
}

static void scratch_free(void *ctx, void *block) {
  (void)ctx;
  (void)block;
}

/* ---- Unicode ---- */

/* The value of four hexadecimal digits, or -1. */
static int hex4(const char *p, const char *end) {
  int value = 0;

  if (end - p < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    int c = cfi_str_lower((unsigned char)p[i]);

    if (c >= '0' && c <= '9')
      value = value * 16 + (c - '0');
    else if (c >= 'a' && c <= 'f')
      value = value * 16 + (c - 'a' + 10);
    else
      return -1;
  }
  return value;
}

/* p is behind a backslash: where the escape ends. Clears *whole when it is half
   a surrogate pair. What is not an escape at all is left to yajl. */
static const char *pass_escape(const char *p, const char *end, bool *whole) {
  int unit = -1;

  if (p == end)
    return end;
  if (*p++ == 'u')
    unit = hex4(p, end);
  if (unit < 0)
    return p;
  p += 4;
  if (unit < 0xd800 || unit > 0xdfff)
    return p;
  if (unit <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
    unit = hex4(p + 2, end);
    if (unit >= 0xdc00 && unit <= 0xdfff)
      return p + 6;
  }
  *whole = false;
  return p;
}

/* p is behind a string's first quote: where it ends, behind the last. */
static const char *pass_string(const char *p, const char *end, bool *whole) {
  while (p < end && *p != '"') {
    p++;
    if (p[-1] == '\\')
      p = pass_escape(p, end, whole);
  }
  return p < end ? p + 1 : end;
}

/* Between two tokens, to yajl: more than JSON's white space. */
static bool is_between(char c) {
  return cfi_str_is_space(c) || c == '\v' || c == '\f' || c == ',' || c == ':';
}

/* Looks from offset at on at the string yajl will decode next, if one comes
   before its next callback. yajl decodes half a surrogate pair wrongly, or, in
   unpatched builds, ends the process; what has no callback it does not decode.
 */
static int look_at_next(reading *r, size_t at) {
  const char *p = r->text + at, *end = r->text + r->len;
  bool skipped = r->skip_member;
  bool whole = true;

  for (;;) {
    while (p < end && is_between(*p))
      p++;
    if (p == end || *p != '"')
      return 1;
    p = pass_string(p + 1, end, &whole);
    if (!skipped)
      break;
    /* A skipped string makes no callback: the key behind it comes next. */
    skipped = false;
    whole = true;
  }
  if (whole)
    return 1;
  r->result = CFI_JSON_NOT_TEXT;
  return 0;
}

static int look_ahead(reading *r, size_t at) {
  return !r->escapes || at > r->len || look_at_next(r, at);
}

/* Tells whether a text has only ASCII, and whether it has a backslash: for the
   ordinary row these two answers save all further looks at its strings. */
static void survey(reading *r) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  const uint64_t highs = ones << 7;
  uint64_t high = 0;
  size_t i = 0;

  for (; r->len - i >= sizeof high; i += sizeof high) {
    uint64_t word;

    memcpy(&word, r->text + i, sizeof word);
    high |= word;
  }
  for (; i < r->len; i++)
    high |= (unsigned char)r->text[i];
  r->ascii = (high & highs) == 0;
  r->escapes = r->len != 0 && memchr(r->text, '\\', r->len) != NULL;
}

/* ---- callbacks ---- */

static int on_string(void *ctx, const unsigned char *text, size_t len);
static int on_key(void *ctx, const unsigned char *text, size_t len);

static void decode_strings(reading *r, bool strings, bool keys) {
  r->callbacks.yajl_string = strings ? on_string : NULL;
  r->callbacks.yajl_map_key = keys ? on_key : NULL;
}

/* True: go on, *skip says how. */
static bool emit(reading *r, cfi_json_kind kind, const char *text, size_t len,
                 bool *skip) {
  cfi_json_event event = {kind, r->depth, text, len};
  cfi_json_verdict verdict = r->handler(r->user, &event);

  if (verdict == CFI_JSON_STOP) {
    r->result = CFI_JSON_STOPPED;
    return false;
  }
  if (skip != NULL)
    *skip = verdict == CFI_JSON_SKIP;
  return true;
}

/* The member to be skipped was a value without events, or is over. */
static void end_skip_member(reading *r) {
  if (r->skip_member) {
    r->skip_member = false;
    decode_strings(r, true, true);
  }
}

static int scalar(reading *r, cfi_json_kind kind, const char *text,
                  size_t len) {
  if (r->skip_depth != 0)
    return 1;
  if (r->skip_member)
    end_skip_member(r);
  else if (!emit(r, kind, text, len, NULL))
    return 0;
  return look_ahead(r, yajl_get_bytes_consumed(r->handle));
}

static int on_null(void *ctx) { return scalar(ctx, CFI_JSON_NULL, NULL, 0); }

static int on_boolean(void *ctx, int value) {
  return scalar(ctx, value != 0 ? CFI_JSON_TRUE : CFI_JSON_FALSE, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t len) {
  return scalar(ctx, CFI_JSON_NUMBER, text, len);
}

static bool is_text(reading *r, const char *text, size_t len) {
  if (r->ascii && !r->escapes)
    return true;
  if (cfi_str_is_utf8(text, len))
    return true;
  r->result = CFI_JSON_NOT_TEXT;
  return false;
}

static int on_string(void *ctx, const unsigned char *bytes, size_t len) {
  reading *r = ctx;
  const char *text = (const char *)bytes;

  return is_text(r, text, len) && scalar(r, CFI_JSON_STRING, text, len);
}

static int on_key(void *ctx, const unsigned char *bytes, size_t len) {
  reading *r = ctx;
  const char *text = (const char *)bytes;

  end_skip_member(r);
  if (!is_text(r, text, len) ||
      !emit(r, CFI_JSON_KEY, text, len, &r->skip_member))
    return 0;
  if (r->skip_member)
    decode_strings(r, false, true);
  return look_ahead(r, yajl_get_bytes_consumed(r->handle));
}

static int start(reading *r, cfi_json_kind kind) {
  size_t end = yajl_get_bytes_consumed(r->handle);
  bool skip = r->skip_member;

  if (r->depth == r->max_depth) {
    r->result = CFI_JSON_TOO_DEEP;
    return 0;
  }
  if (r->skip_depth != 0) {
    r->depth++;
    return 1;
  }
  r->skip_silent = r->skip_member;
  r->skip_member = false;
  if (!skip && !emit(r, kind, NULL, 0, &skip))
    return 0;
  r->depth++;
  if (!skip)
    return look_ahead(r, end);
  r->skip_depth = r->depth;
  r->skip_begin = end - 1;
  decode_strings(r, false, false);
  return 1;
}

static int on_start_map(void *ctx) { return start(ctx, CFI_JSON_OBJECT); }

static int on_start_array(void *ctx) { return start(ctx, CFI_JSON_ARRAY); }

static int end(reading *r, cfi_json_kind kind) {
  size_t at = yajl_get_bytes_consumed(r->handle);

  if (r->skip_depth == 0) {
    end_skip_member(r);
    r->depth--;
    if (!emit(r, kind, NULL, 0, NULL))
      return 0;
    return look_ahead(r, at);
  }
  if (r->depth-- != r->skip_depth)
    return 1;
  r->skip_depth = 0;
  decode_strings(r, true, true);
  if (!r->skip_silent &&
      !emit(r, CFI_JSON_RAW, r->text + r->skip_begin, at - r->skip_begin, NULL))
    return 0;
  return look_ahead(r, at);
}

static int on_end_map(void *ctx) { return end(ctx, CFI_JSON_OBJECT_END); }

static int on_end_array(void *ctx) { return end(ctx, CFI_JSON_ARRAY_END); }

/* ---- running ---- */

/* Numbers are always given as text: yajl's own conversion stops at 64 bits and
   at the locale's decimal point. */
static const yajl_callbacks callbacks = {
    on_null,    on_boolean,     NULL,         NULL,
    on_number,  on_string,      on_start_map, on_key,
    on_end_map, on_start_array, on_end_array};

static cfi_json_result run_yajl(reading *r) {
  yajl_alloc_funcs memory = {scratch_malloc, scratch_resize, scratch_free, r};
  yajl_status status;

  r->handle = yajl_alloc(&r->callbacks, &memory, r);
  /* What is handed out is checked here, and strictly. What is skipped is not
     ours to judge: a document with a broken byte is still a change, and a feed
     that refused it would ask for it for ever. */
  (void)yajl_config(r->handle, yajl_dont_validate_strings, 1);
  status = yajl_parse(r->handle, (const unsigned char *)r->text, r->len);
  /* A number at the end of the text is complete only now. */
  if (status == yajl_status_ok)
    status = yajl_complete_parse(r->handle);
  if (status == yajl_status_ok)
    return CFI_JSON_OK;
  return status == yajl_status_client_canceled ? r->result : CFI_JSON_INVALID;
}

/* A function of its own, because what its caller holds is not its local and so
   keeps its values over a longjmp. */
static cfi_json_result run_guarded(reading *r) {
  return setjmp(r->no_memory) == 0 ? run_yajl(r) : CFI_JSON_NOMEM;
}

cfi_json_result cfi_json_parse(const cfi_alloc *alloc, size_t max_depth,
                               const char *text, size_t len,
                               cfi_json_handler *handler, void *user) {
  max_align_t space[SCRATCH / sizeof(max_align_t)];
  reading r;
  cfi_json_result result;

  memset(&r, 0, sizeof r);
  r.max_depth = max_depth;
  r.text = len != 0 ? text : "";
  r.len = len;
  r.handler = handler;
  r.user = user;
  r.callbacks = callbacks;
  survey(&r);
  if (!look_ahead(&r, 0))
    return r.result;
  cfi_arena_init(&r.scratch, alloc, SCRATCH);
  cfi_arena_lend(&r.scratch, space, sizeof space);
  result = run_guarded(&r);
  cfi_arena_free(&r.scratch);
  return result;
}

const char *cfi_json_why(cfi_json_result result) {
  switch (result) {
  case CFI_JSON_TOO_DEEP:
    return "it is nested too deep";
  case CFI_JSON_NOT_TEXT:
    return "a string in it is not valid Unicode";
  default:
    return "it is not valid JSON";
  }
}

int cfi_json_yajl_version(void) { return yajl_version(); }
