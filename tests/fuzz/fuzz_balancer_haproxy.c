/*
 * What comes on HAProxy's runtime socket, any bytes: the same lines and prompts
 * in one piece and in two, each byte used once, no line beyond its limit. The
 * first byte says where the bytes are cut.
 *
 * The same bytes as a host: what is taken for a key is fit for a command.
 */
#include "common/ids.h"
#include "fuzz/fuzz.h"

#include "balancer/haproxy_answer.c"
#include "balancer/haproxy_value.c"

/* Its file is not needed here: routes do not come out of these bytes. */
const char *page_code(enum page page) {
  (void)page;
  return "E99";
}

enum page page_of_route(const route *r) {
  (void)r;
  return PAGE_INTERNAL;
}

size_t route_target_count(const route *r) {
  (void)r;
  return 0;
}

void route_target_at(const route *r, size_t i, route_target *out) {
  (void)r;
  (void)i;
  memset(out, 0, sizeof *out);
}

const table_notice *table_get_notice(const table *t) {
  (void)t;
  return NULL;
}

bool table_is_ready(const table *t) {
  (void)t;
  return false;
}

/* false: what came cannot be read. */
static bool read_piece(haproxy_answer *a, const char *data, size_t len,
                       text *out) {
  while (len != 0) {
    size_t used = 0;
    enum haproxy_piece piece = haproxy_answer_next(a, data, len, &used);
    uint64_t value = 0;

    CFT_FUZZ_CHECK(used != 0 && used <= len);
    data += used;
    len -= used;
    CFT_FUZZ_CHECK(piece != HAPROXY_MORE || len == 0);
    if (piece == HAPROXY_WRONG)
      return false;
    if (piece == HAPROXY_LINE) {
      CFT_FUZZ_CHECK(a->len < sizeof a->line && strlen(a->line) == a->len);
      CFT_FUZZ_CHECK(strchr(a->line, '\n') == NULL);
      (void)haproxy_info(a->line, "Pid", &value);
      (void)haproxy_map_line(a->line);
      text_printf(out, "%s\n", a->line);
    }
    if (piece == HAPROXY_PROMPT)
      text_add(out, "", 1);
  }
  return true;
}

static void read_answers(const char *data, size_t len, size_t cut) {
  static haproxy_answer a, b;
  text whole = TEXT_INIT, parts = TEXT_INIT;
  bool ok;

  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  ok = read_piece(&a, data, len, &whole);
  CFT_FUZZ_CHECK(ok == (read_piece(&b, data, cut, &parts) &&
                        read_piece(&b, data + cut, len - cut, &parts)));
  CFT_FUZZ_CHECK(
      whole.len == parts.len &&
      (whole.len == 0 || memcmp(whole.data, parts.data, whole.len) == 0));
  text_free(&whole);
  text_free(&parts);
}

static void try_host(const char *host, size_t len) {
  char key[HAPROXY_KEY_MOST + 1];
  const char *why;

  if (!haproxy_key(host, len, key, &why))
    return;
  CFT_FUZZ_CHECK(haproxy_is_plain(key, strlen(key)));
  CFT_FUZZ_CHECK(strpbrk(key, " \t\r\n;\\\"'|!/:") == NULL);
  CFT_FUZZ_CHECK(strcmp(key, HAPROXY_ALL) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *bytes = (const char *)data;

  if (size == 0)
    return 0;
  read_answers(bytes + 1, size - 1, data[0] % size);
  try_host(bytes + 1, size - 1);
  return 0;
}
