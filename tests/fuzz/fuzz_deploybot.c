/*
 * What deploybot reads that others wrote, and what it writes of it. The first
 * byte of the input says what the rest is:
 *
 * - a state file, which is taken in whole or not at all;
 * - the JSON of one, with its first line put right;
 * - the document sys:freeze;
 * - a mail's subject and body, with a zero byte between: the headers are those
 *   that were meant, and no line is long.
 */
#include "common/text.h"
#include "fuzz/fuzz.h"

#include "deploybot/gate_judge.c"
#include "deploybot/incident.c"
#include "deploybot/mail.c"
#include "deploybot/mail_text.c"
#include "deploybot/outbox.c"
#include "deploybot/report.c"
#include "deploybot/state.c"

static void try_state(const char *data, size_t len) {
  text out = TEXT_INIT, again = TEXT_INIT;
  char why[200] = "";
  state s, other;

  if (!state_decode(data, len, &s, why, sizeof why)) {
    CFT_FUZZ_CHECK(why[0] != '\0' && s.outbox.count == 0);
    return;
  }
  state_encode(&s, &out);
  CFT_FUZZ_CHECK(!out.failed);
  CFT_FUZZ_CHECK(state_decode(out.data, out.len, &other, why, sizeof why));
  state_encode(&other, &again);
  CFT_FUZZ_CHECK(strcmp(text_get(&out), text_get(&again)) == 0);
  state_clear(&s);
  state_clear(&other);
  text_free(&out);
  text_free(&again);
}

static void try_json(const char *data, size_t len) {
  text file = TEXT_INIT;
  char head[64];

  text_add(&file, head, head_of(data, len, head));
  text_add(&file, data, len);
  CFT_FUZZ_CHECK(!file.failed);
  try_state(file.data, file.len);
  text_free(&file);
}

static void try_freeze(const char *data, size_t len) {
  json_t *doc = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
  char why[200] = "";
  text out = TEXT_INIT;
  freeze f;

  if (doc != NULL && freeze_read(doc, &f, why, sizeof why)) {
    CFT_FUZZ_CHECK((gate_freeze(&f, 1000, &out) == GATE_OPEN) ==
                   (out.len == 0));
    CFT_FUZZ_CHECK(f.need >= 0 && f.oncall >= 0 && !out.failed);
  } else {
    CFT_FUZZ_CHECK(doc == NULL || why[0] != '\0');
  }
  text_free(&out);
  json_decref(doc);
}

/* Header fields are counted; each line ends in CRLF, and is short. */
static void check_lines(const text *m) {
  size_t fields = 0, column = 0;
  bool head = true;

  for (size_t i = 0; i < m->len; i++) {
    unsigned char c = (unsigned char)m->data[i];

    if (c == '\r') {
      CFT_FUZZ_CHECK(i + 1 < m->len && m->data[i + 1] == '\n');
      head = head && column != 0;
      column = 0;
      i++;
      continue;
    }
    CFT_FUZZ_CHECK(c >= ' ' && c < 0x7f);
    fields += head && column == 0 && c != ' ';
    CFT_FUZZ_CHECK(++column <= (head ? 500u : 76u));
  }
  CFT_FUZZ_CHECK(fields == 9);
}

static void try_mail(const char *data, size_t len) {
  char *copy = malloc(len + 2);
  const char *to[] = {"ann@example.org"}, *body;
  mail_head head = {"bot@example.org", to, 1, copy, "1.x@example.org", NULL, 0};
  text out = TEXT_INIT, folded = TEXT_INIT;

  CFT_FUZZ_CHECK(copy != NULL);
  memcpy(copy, data, len);
  copy[len] = copy[len + 1] = '\0';
  body = copy + strlen(copy) + 1;
  if (body > copy + len)
    body = copy + len;
  mail_write(&head, body, &out);
  CFT_FUZZ_CHECK(!out.failed);
  check_lines(&out);
  mail_fold(&folded, "Came:      ", body);
  mail_quote(&folded, data, len);
  CFT_FUZZ_CHECK(!folded.failed);
  for (const char *s = text_get(&folded); *s != '\0'; s += strcspn(s, "\n") + 1)
    CFT_FUZZ_CHECK(columns_of(s, strcspn(s, "\n")) <= 75);
  text_free(&out);
  text_free(&folded);
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *input = (const char *)data + 1;

  if (size == 0)
    return 0;
  switch (data[0] % 4) {
  case 0:
    try_state(input, size - 1);
    break;
  case 1:
    try_json(input, size - 1);
    break;
  case 2:
    try_freeze(input, size - 1);
    break;
  default:
    try_mail(input, size - 1);
    break;
  }
  return 0;
}
