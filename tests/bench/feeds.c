/*
 * The made-up feeds.
 */
#include "feeds.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_ROW = 312, DOC = 500, LARGE_DOC = 10000, SMALL_ROWS = 200 };

const char *bench_kind_name(bench_kind kind) {
  static const char *const names[] = {"a", "b", "c", "d"};

  return names[kind];
}

static bool put(bench_feed *f, const char *text, size_t len) {
  if (len > f->cap - f->len) {
    size_t cap = (f->cap + len) * 2;
    char *data = realloc(f->data, cap);

    if (data == NULL)
      return false;
    f->data = data;
    f->cap = cap;
  }
  memcpy(f->data + f->len, text, len);
  f->len += len;
  return true;
}

static bool puts_to(bench_feed *f, const char *text) {
  return put(f, text, strlen(text));
}

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

/* Letters as in a seq or an attachment. */
static bool put_letters(bench_feed *f, size_t len, uint64_t seed) {
  static const char letters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char text[256];

  while (len != 0) {
    size_t n = len < sizeof text ? len : sizeof text;

    for (size_t i = 0; i < n; i++)
      text[i] = letters[mix(++seed * 0x9e3779b97f4a7c15U) % 64];
    if (!put(f, text, n))
      return false;
    len -= n;
  }
  return true;
}

/* Up to the end of "changes"; with } and a line feed it has len bytes. */
static bool begin_row(bench_feed *f, size_t len) {
  uint64_t n = ++f->rows, id = mix(n), rev = mix(id);
  char front[64], back[256];
  int front_len = snprintf(front, sizeof front, "{\"seq\":\"%llu-g1AAA",
                           (unsigned long long)n);
  int back_len = snprintf(
      back, sizeof back,
      "\",\"id\":\"%016llx%016llx\",\"changes\":[{\"rev\":\"%d-%016llx%016llx"
      "\"}]",
      (unsigned long long)id, (unsigned long long)n, (int)(n % 9 + 1),
      (unsigned long long)rev, (unsigned long long)id);
  size_t rest = len - (size_t)front_len - (size_t)back_len - 2;

  return put(f, front, (size_t)front_len) && put_letters(f, rest, n) &&
         put(f, back, (size_t)back_len);
}

static bool end_row(bench_feed *f) { return puts_to(f, "}\n"); }

static bool plain_row(bench_feed *f) {
  return begin_row(f, PLAIN_ROW) && end_row(f);
}

static bool doc_row(bench_feed *f) {
  char doc[1024];
  unsigned long long n = mix(f->rows + 1);
  int len = snprintf(
      doc, sizeof doc,
      ",\"doc\":{\"_id\":\"%016llx%016llx\",\"_rev\":\"1-%016llx%016llx\","
      "\"type\":\"order\",\"customer\":{\"name\":\"Customer %llu\",\"city\":"
      "\"Bergen\",\"street\":\"Strandgaten %llu\",\"active\":true},\"lines\":["
      "{\"sku\":\"%llx\",\"count\":%llu,\"price\":%llu.5},{\"sku\":\"%llx\","
      "\"count\":2,\"price\":19.95}],\"created\":\"2024-05-17T10:22:31.412Z\","
      "\"note\":\"",
      n, n, n, n, n % 10000, n % 300, n, n % 20, n % 1000, n);

  if (!begin_row(f, PLAIN_ROW) || !put(f, doc, (size_t)len))
    return false;
  for (; len < DOC; len += 25)
    if (!puts_to(f, "leave it with the porter "))
      return false;
  return puts_to(f, "\"}") && end_row(f);
}

static bool large_row(bench_feed *f) {
  size_t begin;

  if (!begin_row(f, PLAIN_ROW) || !puts_to(f, ",\"doc\":{\"_id\":\"large\""))
    return false;
  begin = f->len;
  for (int i = 0; f->len - begin < LARGE_DOC; i++) {
    char part[512];

    (void)snprintf(
        part, sizeof part,
        ",\"section %d\":{\"title\":\"\xc3\x9c"
        "ber \\\"%d\\\"\",\"text\":\"Sm"
        "\xc3\xb8rrebr\xc3\xb8"
        "d og \xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3"
        "\x81\xa1\xe3\x81\xaf, first line\\nsecond line\\ttabbed "
        "\\\"quoted\\\" "
        "C:\\\\dir\\\\file \\u00e9\\ud83d\\ude00 and some more plain words to "
        "read\",\"list\":[%d,%d.25,true,null,{\"k\":[\"v\",{}]}]}",
        i, i, i * 7, i);
    if (!puts_to(f, part))
      return false;
  }
  return puts_to(f, "}") && end_row(f);
}

static bool huge_row(bench_feed *f, size_t size) {
  return begin_row(f, PLAIN_ROW) &&
         puts_to(f, ",\"doc\":{\"_id\":\"huge\",\"_attachments\":{\"a\":{"
                    "\"content_type\":\"image/png\",\"data\":\"") &&
         put_letters(f, size, 1) && puts_to(f, "\"}}}") && end_row(f);
}

static bool one_row(bench_feed *f, bench_kind kind) {
  switch (kind) {
  case BENCH_DOCS:
    return doc_row(f);
  case BENCH_LARGE:
    return large_row(f);
  default:
    return plain_row(f);
  }
}

bool bench_feed_add(bench_feed *f, bench_kind kind, size_t huge) {
  return kind == BENCH_HUGE && f->rows == BENCH_HUGE_AT ? huge_row(f, huge)
                                                        : one_row(f, kind);
}

bool bench_feed_make(bench_feed *f, bench_kind kind, size_t size) {
  bool good = true;

  memset(f, 0, sizeof *f);
  if (kind == BENCH_HUGE)
    for (int i = 0; good && i <= SMALL_ROWS; i++)
      good = bench_feed_add(f, kind, size);
  else
    do
      good = one_row(f, kind);
    while (good && f->len < size);
  if (!good)
    bench_feed_free(f);
  return good;
}

void bench_feed_free(bench_feed *f) {
  free(f->data);
  memset(f, 0, sizeof *f);
}
