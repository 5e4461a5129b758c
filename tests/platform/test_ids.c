/* Names: what is one and what only looks like it; hashes that every machine
   agrees on; who is responsible for a key. */
#include "common/ids.h"

#include "support/unit.h"

#include <string.h>

static bool app(const char *s) { return id_is_app(s, strlen(s)); }
static bool host(const char *s) { return id_is_host(s, strlen(s)); }
static bool served(const char *s) { return id_is_served_host(s, strlen(s)); }
static bool addr(const char *s) { return id_is_addr(s, strlen(s)); }

START_TEST(test_ids_random_claims_differ_and_are_claims) {
  char a[CLAIM_LEN + 1], b[CLAIM_LEN + 1];

  ck_assert(id_random(a));
  ck_assert(id_random(b));
  ck_assert_uint_eq(strlen(a), CLAIM_LEN);
  ck_assert(id_is_claim(a, CLAIM_LEN));
  ck_assert(id_is_claim(b, CLAIM_LEN));
  ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(test_ids_a_claim_is_32_lower_hex_digits) {
  const char *good = "00112233445566778899aabbccddeeff";

  ck_assert(id_is_claim(good, 32));
  ck_assert(!id_is_claim(good, 31));
  ck_assert(!id_is_claim("00112233445566778899AABBCCDDEEFF", 32));
  ck_assert(!id_is_claim("00112233445566778899aabbccddeefg", 32));
  ck_assert(!id_is_claim("0011223344556677\0"
                         "899aabbccddeeff",
                         32));
  ck_assert(!id_is_claim("", 0));
}
END_TEST

START_TEST(test_ids_names_of_apps) {
  char longest[NAME_MOST + 2];

  ck_assert(app("a"));
  ck_assert(app("shop-2"));
  ck_assert(app("a-b--c"));
  memset(longest, 'a', sizeof longest);
  ck_assert(id_is_app(longest, NAME_MOST));
  ck_assert(!id_is_app(longest, NAME_MOST + 1));
  ck_assert(!app(""));
  ck_assert(!app("2shop"));
  ck_assert(!app("-shop"));
  ck_assert(!app("shop-"));
  ck_assert(!app("Shop"));
  ck_assert(!app("shop.x"));
  ck_assert(!app("shop_x"));
  ck_assert(!app("shop/x"));
  ck_assert(!app("sh\xc3\xb6p"));
  ck_assert(!id_is_app("sho\0p", 5));
}
END_TEST

START_TEST(test_ids_names_of_hosts) {
  char label[70], all[HOST_MOST + 2];

  ck_assert(host("a"));
  ck_assert(host("shop.example.com"));
  ck_assert(host("2.xn--bcher-kva.example"));
  ck_assert(!host(""));
  ck_assert(!host("."));
  ck_assert(!host("shop.example.com."));
  ck_assert(!host(".shop"));
  ck_assert(!host("a..b"));
  ck_assert(!host("Shop.example.com"));
  ck_assert(!host("shop:80"));
  ck_assert(!host("-a.b"));
  ck_assert(!host("a-.b"));
  ck_assert(!host("a_b.c"));
  ck_assert(!host("a b"));
  memset(label, 'x', sizeof label);
  label[63] = '\0';
  ck_assert(host(label));
  ck_assert(
      !id_is_host("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxx",
                  64));
  for (size_t i = 0; i <= HOST_MOST; i++) /* 127 labels and their dots */
    all[i] = i % 2 == 0 ? 'a' : '.';
  ck_assert(id_is_host(all, HOST_MOST));
  all[HOST_MOST] = 'a';
  ck_assert(!id_is_host(all, HOST_MOST + 1));
}
END_TEST

START_TEST(test_ids_a_pattern_is_the_first_label_of_at_least_three) {
  char longest[HOST_MOST + 2];

  ck_assert(served("shop.example.com"));
  ck_assert(served("a"));
  ck_assert(served("*.example.com"));
  ck_assert(served("*.a.b.c"));
  ck_assert(!served(""));
  ck_assert(!served("*"));
  ck_assert(!served("*."));
  ck_assert(!served("*.com"));
  ck_assert(!served("*.com."));
  ck_assert(!served("*..com"));
  ck_assert(!served("*.Example.com"));
  ck_assert(!served("*.*.example.com"));
  ck_assert(!served("a.*.example.com"));
  ck_assert(!served("a*.example.com"));
  ck_assert(!served("*a.example.com"));
  ck_assert(!served("**.example.com"));
  ck_assert(!served("*.example.com:80"));
  ck_assert(!host("*.example.com")); /* a name alone */
  for (size_t i = 0; i <= HOST_MOST; i++)
    longest[i] = i % 2 == 0 ? 'a' : '.';
  longest[0] = '*';
  ck_assert(id_is_served_host(longest, HOST_MOST));
  longest[HOST_MOST - 1] = 'a';
  longest[HOST_MOST] = 'a';
  ck_assert(!id_is_served_host(longest, HOST_MOST + 1));
}
END_TEST

START_TEST(test_ids_addresses_are_numeric_and_have_a_port) {
  ck_assert(addr("127.0.0.1:80"));
  ck_assert(addr("127.1.2.3:65535"));
  ck_assert(addr("[::1]:8080"));
  ck_assert(addr("[2001:db8::7]:1"));
  ck_assert(!addr(""));
  ck_assert(!addr(":"));
  ck_assert(!addr(":80"));
  ck_assert(!addr("127.0.0.1"));
  ck_assert(!addr("127.0.0.1:"));
  ck_assert(!addr("127.0.0.1:0"));
  ck_assert(!addr("127.0.0.1:080"));
  ck_assert(!addr("127.0.0.1:65536"));
  ck_assert(!addr("127.0.0.1:+80"));
  ck_assert(!addr("127.1:80"));
  ck_assert(!addr("localhost:80"));
  ck_assert(!addr("::1:80"));
  ck_assert(!addr("[::1]80"));
  ck_assert(!addr("[127.0.0.1]:80"));
  ck_assert(!addr("[]:80"));
  ck_assert(!addr("[::1:80"));
  ck_assert(!addr("[fe80::1%lo]:80"));
  ck_assert(!addr("127.0.0.1:80 "));
  ck_assert(!id_is_addr("127.0.0.1\0:80", 13));
}
END_TEST

/* Two programs of two versions must agree, so the numbers are written down. */
START_TEST(test_ids_hashes_never_change) {
  ck_assert_uint_eq(id_hash("", 0), UINT64_C(0xefd01f60ba992926));
  ck_assert_uint_eq(id_hash("hello", 5), UINT64_C(0xe9c562c0fdb23244));
}
END_TEST

START_TEST(test_ids_the_responsible_one_does_not_depend_on_the_order) {
  const char *ab[] = {"p1", "p2", "p3"}, *ba[] = {"p3", "p1", "p2"};
  char key[16];

  for (int i = 0; i < 1000; i++) {
    (void)snprintf(key, sizeof key, "app-%d", i);
    ck_assert_str_eq(ab[id_rendezvous(key, ab, 3)],
                     ba[id_rendezvous(key, ba, 3)]);
  }
}
END_TEST

START_TEST(test_ids_a_name_less_moves_only_its_own_keys) {
  const char *three[] = {"p1", "p2", "p3"}, *two[] = {"p1", "p2"};
  int counts[3] = {0};
  char key[16];

  for (int i = 0; i < 3000; i++) {
    size_t before, after;

    (void)snprintf(key, sizeof key, "app-%d", i);
    before = id_rendezvous(key, three, 3);
    after = id_rendezvous(key, two, 2);
    counts[before]++;
    if (before != 2)
      ck_assert_uint_eq(before, after);
  }
  for (int i = 0; i < 3; i++) {
    ck_assert_int_gt(counts[i], 850);
    ck_assert_int_lt(counts[i], 1150);
  }
}
END_TEST

START_TEST(test_ids_a_key_and_a_name_do_not_run_together) {
  const char *one[] = {"bc", "x"}, *other[] = {"c", "x"};
  int same = 0;

  for (int i = 0; i < 64; i++) {
    char a[16], ab[16];

    (void)snprintf(a, sizeof a, "%da", i);
    (void)snprintf(ab, sizeof ab, "%dab", i);
    same += id_rendezvous(a, one, 2) == id_rendezvous(ab, other, 2);
  }
  ck_assert_int_lt(same, 60);
}
END_TEST

int main(void) {
  Suite *s = suite_create("ids");
  TCase *t = tcase_create("ids");

  tcase_add_test(t, test_ids_random_claims_differ_and_are_claims);
  tcase_add_test(t, test_ids_a_claim_is_32_lower_hex_digits);
  tcase_add_test(t, test_ids_names_of_apps);
  tcase_add_test(t, test_ids_names_of_hosts);
  tcase_add_test(t, test_ids_a_pattern_is_the_first_label_of_at_least_three);
  tcase_add_test(t, test_ids_addresses_are_numeric_and_have_a_port);
  tcase_add_test(t, test_ids_hashes_never_change);
  tcase_add_test(t, test_ids_the_responsible_one_does_not_depend_on_the_order);
  tcase_add_test(t, test_ids_a_name_less_moves_only_its_own_keys);
  tcase_add_test(t, test_ids_a_key_and_a_name_do_not_run_together);
  suite_add_tcase(s, t);
  return cft_run(s);
}
