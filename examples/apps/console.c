/* See console.h. */
#include "apps/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The two bytes of a control character above ASCII, U+0080 to U+009F. */
static bool is_high_control(const char *s, size_t len) {
  return len >= 2 && (unsigned char)s[0] == 0xc2 &&
         (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0;
}

void apps_clean(text *out, const char *s, size_t len, bool lines) {
  for (size_t i = 0; i < len; i++) {
    bool kept = lines && (s[i] == '\n' || s[i] == '\t');

    if (is_high_control(s + i, len - i)) {
      text_add(out, "?", 1);
      i++;
    } else if (((unsigned char)s[i] < 0x20 && !kept) || s[i] == 0x7f) {
      text_add(out, "?", 1);
    } else {
      text_add(out, s + i, 1);
    }
  }
}

static void make(text *out, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void make(text *out, const char *format, va_list args) {
  text raw = TEXT_INIT;

  text_vprintf(&raw, format, args);
  apps_clean(out, text_get(&raw), raw.len, false);
  text_free(&raw);
}

/* The line of progress that is still on the terminal goes. */
static void clear_line(apps_run *run) {
  if (run->shown)
    (void)fputs("\r\x1b[K", stderr);
  run->shown = false;
}

/* 0: lines are not replaced there. */
static size_t terminal_columns(void) {
  const char *term = getenv("TERM");
  struct winsize size;

  if (isatty(STDERR_FILENO) == 0 || term == NULL || strcmp(term, "dumb") == 0)
    return 0;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 8
             ? size.ws_col
             : 80;
}

void apps_progress(apps_run *run, const char *format, ...) {
  size_t columns = terminal_columns();
  text line = TEXT_INIT;
  va_list args;

  if (run->quiet || run->json)
    return;
  va_start(args, format);
  make(&line, format, args);
  va_end(args);
  clear_line(run);
  if (columns != 0 && line.len >= columns)
    text_cut(&line, columns - 1); /* a folded line could not be replaced */
  (void)fprintf(stderr, "%s%s", text_get(&line), columns != 0 ? "" : "\n");
  (void)fflush(stderr);
  run->shown = columns != 0;
  text_free(&line);
}

void apps_say(apps_run *run, const char *format, ...) {
  text line = TEXT_INIT;
  va_list args;

  va_start(args, format);
  make(&line, format, args);
  va_end(args);
  clear_line(run);
  (void)fprintf(stderr, "apps: %s\n", text_get(&line));
  text_free(&line);
}

void apps_print(apps_run *run, const char *format, ...) {
  text line = TEXT_INIT;
  va_list args;

  va_start(args, format);
  make(&line, format, args);
  va_end(args);
  clear_line(run);
  (void)printf("%s\n", text_get(&line));
  (void)fflush(stdout);
  text_free(&line);
}

void apps_print_json(apps_run *run, json_t *value) {
  clear_line(run);
  if (value != NULL)
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
  (void)putchar('\n');
  (void)fflush(stdout);
  json_decref(value);
}

/* A sentence that was cut somewhere may end within a character. */
static json_t *sentence(text *line) {
  json_t *string = json_string(text_get(line));

  for (size_t i = 0; string == NULL && i < line->len; i++)
    if ((line->data[i] & 0x80) != 0)
      line->data[i] = '?';
  return string != NULL ? string : json_string(text_get(line));
}

int apps_fail(apps_run *run, int status, const char *code, const char *format,
              ...) {
  text line = TEXT_INIT;
  va_list args;

  va_start(args, format);
  make(&line, format, args);
  va_end(args);
  if (run->json)
    apps_print_json(run, json_pack("{s:o,s:s*,s:s*,s:i}", "error",
                                   sentence(&line), "code", code, "app",
                                   run->operand, "exit", status));
  else
    apps_say(run, "%s", text_get(&line));
  text_free(&line);
  return status;
}

int apps_console_end(apps_run *run, int status) {
  clear_line(run);
  if (fflush(stdout) != 0 || ferror(stdout) != 0) {
    (void)fputs("apps: The result could not be written.\n", stderr);
    return EXIT_OTHER;
  }
  return status;
}
