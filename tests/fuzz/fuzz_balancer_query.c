/*
 * Any bytes as the query of an admin request, and as its Host: what is read is
 * named by what is allowed, once each, and without control bytes; what is
 * refused has a sentence; and nothing behind the end is looked at. What is
 * behind the first '#' is the host.
 */
#include "common/text.h"
#include "fuzz/fuzz.h"

#include "balancer/admin_query.c"

#include <stdlib.h>

static void check_word(const admin_query *q, size_t i) {
  const char *value = q->words[i].value;

  CFT_FUZZ_CHECK(is_allowed("from to limit search", q->words[i].name));
  for (size_t k = 0; k < i; k++)
    CFT_FUZZ_CHECK(strcmp(q->words[i].name, q->words[k].name) != 0);
  for (; *value != '\0'; value++)
    CFT_FUZZ_CHECK((unsigned char)*value >= 0x20 && *value != 0x7f);
}

static void check_number(const admin_query *q) {
  int64_t number = -7;
  char why[160] = "";

  if (admin_query_number(q, "limit", 1, 10000, &number, why, sizeof why))
    CFT_FUZZ_CHECK(number == -7 || (number >= 1 && number <= 10000));
  else
    CFT_FUZZ_CHECK(why[0] != '\0' && number == -7);
}

static void try_query(http_str query) {
  static admin_query q;
  char why[160] = "";

  if (!admin_query_read(&q, query, "from to limit search", why, sizeof why)) {
    CFT_FUZZ_CHECK(why[0] != '\0');
    return;
  }
  CFT_FUZZ_CHECK(q.count <= QUERY_WORDS);
  for (size_t i = 0; i < q.count; i++)
    check_word(&q, i);
  check_number(&q);
}

/* A name with a letter is no address, and none of ours. */
static void try_host(http_str host) {
  bool ours = admin_host_is_ours(host, "b1", "machine");

  CFT_FUZZ_CHECK(
      !ours || host.len == 0 || host.data[0] == '[' ||
      http_str_is(host, "b1") || http_str_is(host, "machine") ||
      http_str_is(host, "localhost") ||
      (host.data[host.len - 1] >= '0' && host.data[host.len - 1] <= '9'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *mark = size == 0 ? NULL : memchr(data, '#', size);
  size_t len = mark != NULL ? (size_t)(mark - (const char *)data) : size;
  size_t rest = mark != NULL ? size - len - 1 : 0;
  char *query = malloc(len != 0 ? len : 1);
  char *host = malloc(rest != 0 ? rest : 1);

  if (query != NULL && host != NULL) {
    if (len != 0)
      memcpy(query, data, len);
    if (rest != 0)
      memcpy(host, mark + 1, rest);
    try_query((http_str){query, len});
    try_host((http_str){host, rest});
  }
  free(query);
  free(host);
  return 0;
}
