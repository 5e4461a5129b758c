/*
 * Snapshots of any bytes. The first byte of the input says what the rest is:
 *
 * - a whole file;
 * - a file that lacks its length and checksum, which are put right first, so
 *   that what is within is looked at;
 * - a route's block.
 *
 * What is taken holds routes that documents could have said, in order, and is
 * made again from them, byte for byte but for addresses that could be shorter;
 * what is refused has a sentence.
 */
#include "common/ids.h"
#include "fuzz/fuzz.h"

#include "balancer/route.c"
#include "balancer/route_check.c"
#include "balancer/route_pack.c"
#include "balancer/sip.c"
#include "balancer/snapshot.c"
#include "balancer/snapshot_read.c"

static void check_route(const route *r) {
  static route_doc doc, back;
  char why[256], app[NAME_MOST + 1];
  json_t *json;
  route *again;

  route_unpack(r, &doc);
  route_app(r, app);
  CFT_FUZZ_CHECK(strcmp(app, doc.app) == 0);
  again = route_make(&doc);
  CFT_FUZZ_CHECK(again != NULL && route_size(again) <= route_size(r));
  CFT_FUZZ_CHECK(route_check(again, route_size(again)) == again);
  route_unpack(again, &back);
  CFT_FUZZ_CHECK(memcmp(&doc, &back, sizeof doc) == 0);
  free(again);
  for (size_t i = 0; i < doc.to_count; i++)
    memcpy(doc.to[i].drone, doc.to[i].addr, sizeof doc.to[i].addr);
  json = route_doc_write(&doc);
  CFT_FUZZ_CHECK(json != NULL);
  CFT_FUZZ_CHECK(route_doc_read(json, &back, why, sizeof why));
  CFT_FUZZ_CHECK(memcmp(&doc, &back, sizeof doc) == 0);
  json_decref(json);
}

static void try_file(const void *data, size_t len) {
  char error[512] = "", app[NAME_MOST + 1];
  snapshot *s = snapshot_read(data, len, error, sizeof error), *again;
  snapshot_entry e, found;

  CFT_FUZZ_CHECK((s == NULL) == (error[0] != '\0'));
  if (s == NULL)
    return;
  again = snapshot_new();
  CFT_FUZZ_CHECK(again != NULL);
  for (size_t i = 0; i < snapshot_count(s); i++) {
    snapshot_at(s, i, &e);
    check_route(e.route);
    route_app(e.route, app);
    CFT_FUZZ_CHECK(snapshot_find(s, app, &found) && found.route == e.route);
    CFT_FUZZ_CHECK(snapshot_add(again, e.route, e.rev));
  }
  CFT_FUZZ_CHECK(again->end - again->begin == s->end - s->begin);
  CFT_FUZZ_CHECK(
      s->count == 0 ||
      memcmp(again->data.data, s->data.data + s->begin, again->end) == 0);
  snapshot_free(again);
  snapshot_free(s);
}

static void put_number(unsigned char *at, uint64_t value) {
  for (unsigned i = 0; i < 8; i++)
    at[i] = (unsigned char)(value >> (8 * i));
}

static void try_content(const uint8_t *data, size_t len) {
  static const sip_key key;
  size_t all = len + SNAPSHOT_END;
  unsigned char *file = malloc(all);

  CFT_FUZZ_CHECK(file != NULL);
  if (len != 0)
    memcpy(file, data, len);
  if (len >= SNAPSHOT_HEAD)
    put_number(file + 16, all);
  put_number(file + len, sip_of(&key, file, len));
  try_file(file, all);
  free(file);
}

static void try_route(const uint8_t *data, size_t len) {
  void *copy = malloc(len != 0 ? len : 1);
  const route *r;

  CFT_FUZZ_CHECK(copy != NULL);
  if (len != 0)
    memcpy(copy, data, len);
  r = route_check(copy, len);
  if (r != NULL) {
    CFT_FUZZ_CHECK(r == copy && route_size(r) <= len);
    check_route(r);
  }
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  switch (data[0] % 3) {
  case 0:
    try_file(data + 1, size - 1);
    break;
  case 1:
    try_content(data + 1, size - 1);
    break;
  default:
    try_route(data + 1, size - 1);
  }
  return 0;
}
