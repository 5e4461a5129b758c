/*
 * What comes to a visitor, any bytes: the same verdict in one piece and in two;
 * what is kept and counted is within what came, and what was compared with the
 * app's own answer is that answer. The same for a websocket's conversation. The
 * first byte says what was asked for, the second where the bytes are cut.
 */
#include "fuzz/fuzz.h"

#include "common/traffic_answer.h"
#include "common/traffic_talk.h"

#include <string.h>

enum { MOST = 20000 };

typedef struct outcome {
  enum traffic_state state;
  size_t used, sent;
  const char *why;
  bool ends;
  traffic_answer a;
} outcome;

static traffic_asked asked_by(unsigned char what) {
  traffic_asked asked = {.target = "/?v=1", .most = MOST};

  asked.head = (what & 1) != 0;
  if ((what & 2) != 0)
    asked.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
  if ((what & 4) != 0)
    asked.lines = 3;
  if ((what & 8) != 0) {
    asked.posted = true;
    asked.length = 5;
    asked.sum = UINT64_C(0xa430d84680aabd0b); /* of "hello" */
  }
  return asked;
}

/* A stretch of the bytes; all that is behind an answer is left. */
static void feed(outcome *o, traffic_talk *k, traffic_dice *d, text *out,
                 const char *data, size_t len) {
  size_t used = 0;

  while (o->state == TRAFFIC_MORE && len != 0) {
    if (o->a.upgraded) {
      o->state = traffic_talk_take(k, &o->a, data, len, out, d, &o->why);
      used = len;
    } else {
      o->state = traffic_answer_take(&o->a, data, len, &used, &o->why);
      CFT_FUZZ_CHECK(used <= len);
      CFT_FUZZ_CHECK(o->state != TRAFFIC_MORE || used == len);
    }
    if (o->state == TRAFFIC_TALK) {
      traffic_talk_begin(k, d);
      o->state = TRAFFIC_MORE;
    }
    o->used += used;
    data += used;
    len -= used;
  }
}

static void run(outcome *o, const traffic_asked *asked, const char *data,
                size_t cut, size_t len) {
  traffic_dice d = {1};
  traffic_talk k = {.has_page = false};
  text out = TEXT_INIT;

  memset(o, 0, sizeof *o);
  o->state = TRAFFIC_MORE;
  o->why = "";
  traffic_answer_begin(&o->a, asked);
  feed(o, &k, &d, &out, data, cut);
  feed(o, &k, &d, &out, data + cut, len - cut);
  o->ends =
      o->state == TRAFFIC_MORE && !o->a.upgraded && traffic_answer_ends(&o->a);
  o->sent = out.len;
  traffic_talk_end(&k, &o->a);
  text_free(&out);
}

static void check(const outcome *o, const traffic_asked *asked, size_t len) {
  const traffic_answer *a = &o->a;
  bool whole = o->ends || (o->state == TRAFFIC_WHOLE && !a->upgraded);

  CFT_FUZZ_CHECK(o->used <= len && a->length <= len);
  CFT_FUZZ_CHECK(a->kept.len ==
                 (a->length < TRAFFIC_BODY ? a->length : TRAFFIC_BODY));
  CFT_FUZZ_CHECK(strlen(a->page) < sizeof a->page &&
                 strlen(a->error) < sizeof a->error);
  CFT_FUZZ_CHECK(o->state != TRAFFIC_NONSENSE || o->why[0] != '\0');
  CFT_FUZZ_CHECK(!asked->head || a->upgraded || a->length == 0);
  CFT_FUZZ_CHECK(!whole || a->has_head);
  /* Nothing was wrong with it: so it is the page, to the last byte. */
  if (whole && a->page[0] != '\0' && a->wrong == NULL && !asked->head) {
    text own = TEXT_INIT;

    for (unsigned i = 0; i < asked->lines; i++)
      text_printf(&own, "%s %u\n", a->page, i);
    if (asked->lines == 0)
      text_printf(&own, "%s\n", a->page);
    if (asked->lines == 0 && asked->posted)
      text_str(&own, "length=5 sum=a430d84680aabd0b\n");
    CFT_FUZZ_CHECK(own.len == a->kept.len &&
                   memcmp(own.data, a->kept.data, own.len) == 0);
    text_free(&own);
  }
}

static void check_same(const outcome *one, const outcome *two) {
  CFT_FUZZ_CHECK(one->state == two->state && one->ends == two->ends);
  CFT_FUZZ_CHECK(one->a.status == two->a.status);
  CFT_FUZZ_CHECK(one->a.inside == two->a.inside);
  CFT_FUZZ_CHECK(strcmp(one->a.page, two->a.page) == 0);
  CFT_FUZZ_CHECK(strcmp(one->a.error, two->a.error) == 0);
  CFT_FUZZ_CHECK(one->sent == two->sent);
  /* One that is too long is found to be so with the piece that makes it so. */
  if (one->state == TRAFFIC_NONSENSE)
    return;
  CFT_FUZZ_CHECK(one->a.wrong == two->a.wrong);
  CFT_FUZZ_CHECK(one->a.length == two->a.length);
  CFT_FUZZ_CHECK(strcmp(text_get(&one->a.kept), text_get(&two->a.kept)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  traffic_asked asked;
  outcome whole, parts;
  size_t cut;

  if (size < 2)
    return 0;
  asked = asked_by(data[0]);
  cut = size == 2 ? 0 : data[1] * (size_t)37 % (size - 2);
  run(&whole, &asked, (const char *)data + 2, 0, size - 2);
  run(&parts, &asked, (const char *)data + 2, cut, size - 2);
  check(&whole, &asked, size - 2);
  check(&parts, &asked, size - 2);
  check_same(&whole, &parts);
  traffic_answer_free(&whole.a);
  traffic_answer_free(&parts.a);
  return 0;
}
