/* Routes as blocks: what goes in comes out, and bytes that were changed or cut
   are refused, or are a route that a document could have been. */
#include "balancer/route.h"

#include "support/mem.h"
#include "support/unit.h"

#define C1 "0123456789abcdef0123456789abcdef"
#define C2 "fedcba98765432100000000000000000"

/* ---- documents by chance, the same each time ---- */

static uint64_t seed;

static size_t below(size_t n) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (size_t)((seed >> 33) % n);
}

static void any_label(char *out, size_t most) {
  size_t len = 1 + below(most);

  for (size_t i = 0; i < len; i++)
    out[i] = "abcdefghijklmnopqrstuvwxyz0123456789-"[below(37)];
  out[0] = (char)('a' + below(26));
  if (out[len - 1] == '-')
    out[len - 1] = 'z';
  out[len] = '\0';
}

static void any_host(char out[HOST_MOST + 1]) {
  size_t labels = 1 + below(4);
  char label[64];

  (void)snprintf(out, HOST_MOST + 1, "%s",
                 labels > 1 && below(8) == 0 ? "*" : "h");
  for (size_t i = 0; i < labels; i++) {
    any_label(label, below(10) == 0 ? 61 : 9);
    (void)strcat(strcat(out, "."), label);
  }
}

static void any_addr(char out[ADDR_MOST + 1]) {
  static const char *const odd[] = {
      "1.1.1.1:1",
      "255.255.255.255:65535",
      "[::]:1",
      "[::1]:65535",
      "[2001:db8::7]:1",
      "[2001:DB8::7]:8080",
      "[2001:db8:1:2:3:4:5:6]:443",
      "[1111:2222:3333:4444:5555:6666:255.255.255.255]:65535",
      "[0:0:0:0:0:0:0:1]:80"};
  size_t which = below(2 * sizeof odd / sizeof *odd);

  if (which < sizeof odd / sizeof *odd)
    (void)strcpy(out, odd[which]);
  else
    (void)snprintf(out, ADDR_MOST + 1, "127.%zu.%zu.%zu:%zu", below(256),
                   below(256), below(256), 1 + below(65535));
}

static void any_claim(char out[CLAIM_LEN + 1]) {
  for (size_t i = 0; i < CLAIM_LEN; i++)
    out[i] = "0123456789abcdef"[below(16)];
  out[CLAIM_LEN] = '\0';
}

static void any_words(route_doc *d) {
  static const char *const some[] = {
      "", "place 3", "\xc3\xbc", "\xf0\x9f\x98\x80", "\xef\xbf\xbf\x7f\x01"};

  (void)strcpy(d->code, below(2) != 0 ? "queued" : "");
  for (size_t n = below(4); n != 0; n--)
    (void)strcat(d->msg, some[below(5)]);
  if (below(20) == 0)
    memset(d->msg, 'm', sizeof d->msg - 1);
}

static void any_doc(route_doc *d) {
  static const int64_t gens[] = {0, 255, 256, 65536, INT64_MAX - 16};

  memset(d, 0, sizeof *d);
  any_label(d->app, below(5) == 0 ? NAME_MOST : 12);
  d->gen = below(2) != 0 ? (int64_t)below(300) : gens[below(5)];
  d->state = (enum route_state)below(ROUTE_FAILED + 1);
  d->host_count = below(below(4) == 0 ? HOSTS_MOST + 1 : 3);
  for (size_t i = 0; i < d->host_count; i++)
    any_host(d->hosts[i]);
  d->to_count = below(TO_MOST + 1);
  if (d->state == ROUTE_LIVE && d->to_count == 0)
    d->to_count = 1;
  for (size_t i = 0; i < d->to_count; i++) {
    any_addr(d->to[i].addr);
    any_claim(d->to[i].claim);
  }
  if (below(3) == 0)
    any_words(d);
  d->closed = below(4) == 0;
  if (d->closed) { /* its notice is what is told, in place of msg */
    memcpy(d->notice, d->msg, sizeof d->notice);
    memset(d->msg, 0, sizeof d->msg);
  }
}

/* Whether a document could say so: its own reader is asked. */
static bool is_document(const route_doc *d) {
  route_doc copy = *d, back;
  char why[256];
  json_t *json;
  bool good;

  for (size_t i = 0; i < copy.to_count; i++)
    (void)strcpy(copy.to[i].drone, copy.to[i].addr);
  json = route_doc_write(&copy);
  if (json == NULL)
    return false;
  good = route_doc_read(json, &back, why, sizeof why) &&
         memcmp(&back, &copy, sizeof back) == 0;
  json_decref(json);
  return good;
}

/* ---- there and back ---- */

static void check_parts(const route *r, const route_doc *d) {
  char app[NAME_MOST + 1], code[32], msg[256], claim[ROUTE_CLAIM_MOST + 1];
  route_target target;
  size_t len;

  route_app(r, app);
  ck_assert_str_eq(app, d->app);
  ck_assert_int_eq(route_gen(r), d->gen);
  ck_assert_int_eq(route_state(r), d->state);
  ck_assert_uint_eq(route_host_count(r), d->host_count);
  for (size_t i = 0; i < d->host_count; i++) {
    const char *host = route_host(r, i, &len);

    ck_assert_uint_eq(len, strlen(d->hosts[i]));
    ck_assert_mem_eq(host, d->hosts[i], len);
  }
  ck_assert_uint_eq(route_target_count(r), d->to_count);
  for (size_t i = 0; i < d->to_count; i++) {
    route_target_at(r, i, &target);
    ck_assert_str_eq(target.addr, d->to[i].addr);
    (void)snprintf(claim, sizeof claim, "%s/%s", d->app, d->to[i].claim);
    ck_assert_str_eq(target.claim, claim);
    ck_assert(route_has_claim(r, d->to[i].claim, CLAIM_LEN));
    ck_assert(!route_has_claim(r, d->to[i].claim, CLAIM_LEN - 1));
  }
  ck_assert(!route_has_claim(r, "0123456789ABCDEF0123456789ABCDEF", CLAIM_LEN));
  route_words(r, code, msg);
  ck_assert_str_eq(code, d->code);
  ck_assert_int_eq(route_is_closed(r), d->closed);
  ck_assert_str_eq(msg, d->closed ? d->notice : d->msg);
}

START_TEST(test_route_what_goes_in_comes_out) {
  static route_doc d, back;
  text all = TEXT_INIT;
  int count = cft_is_slow() ? 2000 : 20000;

  for (int i = 0; i < count; i++) {
    route *r;
    const route *checked;

    seed = (uint64_t)i;
    any_doc(&d);
    ck_assert_msg(is_document(&d), "seed %d is none to be tested with", i);
    r = route_make(&d);
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(route_size(r) % 8, 0);
    checked = route_check(r, route_size(r));
    ck_assert_msg(checked == r, "seed %d: refused", i);
    route_unpack(r, &back);
    ck_assert_msg(memcmp(&d, &back, sizeof d) == 0, "seed %d: not the same", i);
    check_parts(r, &d);
    /* One behind another they are the same. */
    text_clear(&all);
    ck_assert(route_pack(&d, &all) && route_pack(&d, &all));
    ck_assert_uint_eq(all.len, 2 * route_size(r));
    ck_assert_mem_eq(all.data, r, route_size(r));
    ck_assert_mem_eq(all.data + route_size(r), r, route_size(r));
    ck_assert_ptr_eq(route_check(all.data, all.len), (route *)(void *)all.data);
    free(r);
  }
  text_free(&all);
}
END_TEST

START_TEST(test_route_is_small) {
  route_doc d = {.app = "shop-12345", .gen = 7, .state = ROUTE_LIVE};
  route *r;

  (void)strcpy(d.hosts[0], "shop-12345.example.org");
  d.host_count = 1;
  (void)strcpy(d.to[0].addr, "127.1.200.200:40000");
  (void)strcpy(d.to[0].claim, C1);
  d.to_count = 1;
  r = route_make(&d);
  ck_assert_ptr_nonnull(r);
  /* 6 head, 1 + 22 host, 10 app, 1 gen, 1 + 6 + 16 target */
  ck_assert_uint_eq(route_size(r), 64);
  free(r);
}
END_TEST

/* ---- what is not one ---- */

static route_doc *plain(void) {
  static route_doc d;

  memset(&d, 0, sizeof d);
  (void)strcpy(d.app, "shop");
  (void)strcpy(d.hosts[0], "shop.example");
  (void)strcpy(d.hosts[1], "*.shop.example");
  d.host_count = 2;
  d.gen = 258;
  d.state = ROUTE_LIVE;
  (void)strcpy(d.to[0].addr, "127.1.0.3:4000");
  (void)strcpy(d.to[0].claim, C1);
  (void)strcpy(d.to[1].addr, "[2001:db8:1:2:3:4:5:6]:4000");
  (void)strcpy(d.to[1].claim, C2);
  (void)strcpy(d.to[2].addr, "[2001:DB8::7]:4000");
  (void)strcpy(d.to[2].claim, C2);
  d.to_count = 3;
  (void)strcpy(d.code, "code");
  (void)strcpy(d.msg, "\xc3\xbc, \xf0\x9f\x98\x80");
  return &d;
}

/* In memory of just that size, so that a read behind it is seen. */
static void judge(const unsigned char *data, size_t len, const char *what) {
  static route_doc d;
  void *copy = cft_calloc(1, len);
  const route *r;

  memcpy(copy, data, len);
  r = route_check(copy, len);
  if (r != NULL) {
    ck_assert_msg(route_size(r) <= len, "%s", what);
    route_unpack(r, &d);
    ck_assert_msg(is_document(&d), "%s: taken, and no document", what);
  }
  free(copy);
}

START_TEST(test_route_changed_bytes_are_refused_or_a_document) {
  route *r = route_make(plain());
  size_t len = route_size(r);
  unsigned char *bytes = cft_calloc(1, len);
  char what[64];

  memcpy(bytes, r, len);
  for (size_t i = 0; i < len; i++) {
    unsigned char was = bytes[i];

    for (int value = 0; value < 256; value++) {
      bytes[i] = (unsigned char)value;
      (void)snprintf(what, sizeof what, "byte %zu is %d", i, value);
      judge(bytes, len, what);
    }
    bytes[i] = was;
  }
  free(bytes);
  free(r);
}
END_TEST

START_TEST(test_route_many_changed_bytes_are_refused_or_a_document) {
  static route_doc d;
  int count = cft_is_slow() ? 3000 : 30000;

  for (int i = 0; i < count; i++) {
    route *r;
    unsigned char *bytes;
    size_t len;
    char what[64];

    seed = (uint64_t)i;
    any_doc(&d);
    r = route_make(&d);
    bytes = (unsigned char *)r;
    len = route_size(r);
    for (size_t n = 1 + below(3); n != 0; n--)
      bytes[below(len)] = (unsigned char)below(256);
    (void)snprintf(what, sizeof what, "seed %d", i);
    judge(bytes, len, what);
    free(r);
  }
}
END_TEST

START_TEST(test_route_cut_ones_are_refused) {
  route *r = route_make(plain());
  size_t len = route_size(r);

  for (size_t cut = 0; cut < len; cut++) {
    void *copy = cft_calloc(1, cut);

    memcpy(copy, r, cut);
    ck_assert_msg(route_check(copy, cut) == NULL, "cut to %zu", cut);
    free(copy);
  }
  free(r);
}
END_TEST

/* One thing that is wrong with what would be right without it. */
static void refuse(void (*spoil)(route_doc *d), const char *what) {
  route_doc *d = plain();
  route *r;

  spoil(d);
  r = route_make(d);
  ck_assert_ptr_nonnull(r);
  ck_assert_msg(route_check(r, route_size(r)) == NULL, "%s is taken", what);
  free(r);
}

static void no_target(route_doc *d) { d->to_count = 0; }
static void bad_state(route_doc *d) { d->state = (enum route_state)6; }
static void bad_gen(route_doc *d) { d->gen = INT64_MAX - 15; }
static void negative_gen(route_doc *d) { d->gen = -1; }
static void bad_host(route_doc *d) { d->hosts[1][0] = 'X'; }
static void bad_pattern(route_doc *d) { (void)strcpy(d->hosts[1], "*.org"); }
static void no_host(route_doc *d) { d->hosts[0][0] = '\0'; }
static void bad_app(route_doc *d) { d->app[0] = '1'; }
static void no_app(route_doc *d) { d->app[0] = '\0'; }
static void no_port(route_doc *d) { (void)strcpy(d->to[0].addr, "1.2.3.4:0"); }
static void bad_addr(route_doc *d) { (void)strcpy(d->to[0].addr, "[::1]80"); }
static void bad_text(route_doc *d) { (void)strcpy(d->msg, "\xc3"); }
static void long_text(route_doc *d) { (void)strcpy(d->msg, "\xc0\x80"); }
static void surrogate(route_doc *d) { (void)strcpy(d->msg, "\xed\xa0\x80"); }
static void beyond(route_doc *d) { (void)strcpy(d->msg, "\xf4\x90\x80\x80"); }
static void alone(route_doc *d) { (void)strcpy(d->code, "a\x80"); }

START_TEST(test_route_what_no_document_says_is_refused) {
  refuse(no_target, "a live one without a target");
  refuse(bad_state, "a state that there is not");
  refuse(bad_gen, "a gen that is too high");
  refuse(negative_gen, "a gen below 0");
  refuse(bad_host, "a host in upper case");
  refuse(bad_pattern, "a pattern of one label");
  refuse(no_host, "an empty host");
  refuse(bad_app, "an app with a digit in front");
  refuse(no_app, "an app without a name");
  refuse(no_port, "port 0");
  refuse(bad_addr, "an address without a colon");
  refuse(bad_text, "half a character");
  refuse(long_text, "a character that is too long");
  refuse(surrogate, "half a pair");
  refuse(beyond, "a character beyond the last");
  refuse(alone, "the rest of a character");
}
END_TEST

/* Each route has one length. */
START_TEST(test_route_what_could_be_shorter_is_refused) {
  route *r = route_make(plain());
  size_t len = route_size(r);
  unsigned char *longer = cft_calloc(1, len + 8);
  unsigned char *gen = memmem(r, len, "shop\x02\x01", 6);

  memcpy(longer, r, len);
  ck_assert_ptr_nonnull(route_check(longer, len + 8));
  longer[0]++; /* its length */
  ck_assert_ptr_null(route_check(longer, len + 8));
  ck_assert_ptr_nonnull(gen);
  gen[5] = 0;
  ck_assert_ptr_null(route_check(r, len));
  gen[5] = 2;
  ck_assert_ptr_eq(route_check(r, len), r);
  free(longer);
  free(r);
}
END_TEST

int main(void) {
  Suite *s = suite_create("balancer_route");
  TCase *t = tcase_create("balancer_route");

  tcase_add_test(t, test_route_what_goes_in_comes_out);
  tcase_add_test(t, test_route_is_small);
  tcase_add_test(t, test_route_changed_bytes_are_refused_or_a_document);
  tcase_add_test(t, test_route_many_changed_bytes_are_refused_or_a_document);
  tcase_add_test(t, test_route_cut_ones_are_refused);
  tcase_add_test(t, test_route_what_no_document_says_is_refused);
  tcase_add_test(t, test_route_what_could_be_shorter_is_refused);
  suite_add_tcase(s, t);
  return cft_run(s);
}
