/* Keys and values for HAProxy's map, its answers taken apart, and the model of
   what it has; without HAProxy. */
#include "balancer/haproxy_state.h"

#include "support/mem.h"
#include "support/unit.h"

/* ---- keys and values ---- */

START_TEST(test_haproxy_keys_are_plain) {
  static const struct {
    const char *host, *key; /* NULL: refused */
  } hosts[] = {
      {"a.example", "a.example"},
      {"xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
      {"*.example.org", "example.org.ANY"},
      {"*.1.2.3.4.5.6.7.8.9.org", "1.2.3.4.5.6.7.8.9.org.ANY"},
      {"*.1.2.3.4.5.6.7.8.9.example.org", NULL},
      {"", NULL},
      {"*.", NULL},
      {"*", NULL},
      {"a*.example", NULL},
      {"A.example", NULL},
      {"ALL", NULL},
      {"a.ANY", NULL},
      {"a b", NULL},
      {"a;b", NULL},
      {"a\nb", NULL},
      {"a\\b", NULL},
      {"<<", NULL},
      {"#0x1", NULL},
      {"@1", NULL},
      {"a.example;quit", NULL},
      {"a.example\ncommit map @1 /dev/null", NULL},
      {"a\xc3\xa4.example", NULL},
  };
  char key[HAPROXY_KEY_MOST + 1], long_host[HOST_MOST + 2];
  const char *why;

  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    bool ok = haproxy_key(hosts[i].host, strlen(hosts[i].host), key, &why);

    ck_assert_msg(ok == (hosts[i].key != NULL), "%s", hosts[i].host);
    if (ok)
      ck_assert_str_eq(key, hosts[i].key);
    else
      ck_assert_uint_gt(strlen(why), 10);
  }
  ck_assert(!haproxy_key("a\0b", 3, key, &why));
  memset(long_host, 'a', sizeof long_host);
  ck_assert(haproxy_key(long_host, HOST_MOST, key, &why));
  ck_assert(!haproxy_key(long_host, HOST_MOST + 1, key, &why));
}
END_TEST

static route_doc doc_with(size_t targets, const char *addr) {
  route_doc doc;

  memset(&doc, 0, sizeof doc);
  (void)snprintf(doc.app, sizeof doc.app, "a1");
  (void)snprintf(doc.hosts[0], sizeof doc.hosts[0], "a1.example");
  doc.host_count = 1;
  doc.state = ROUTE_LIVE;
  doc.gen = 1;
  doc.to_count = targets;
  for (size_t i = 0; i < targets; i++) {
    (void)snprintf(doc.to[i].addr, sizeof doc.to[i].addr, "%s", addr);
    (void)snprintf(doc.to[i].drone, sizeof doc.to[i].drone, "%s", addr);
    (void)snprintf(doc.to[i].claim, sizeof doc.to[i].claim, "%032zx", i);
  }
  return doc;
}

/* The value, "(refused)", or "(no route)", to be freed. */
static char *value_with(size_t targets, const char *addr) {
  route_doc doc = doc_with(targets, addr);
  route *r = route_make(&doc);
  text out = TEXT_INIT;
  char *value;

  if (r == NULL)
    return cft_strdup("(no route)");
  value = cft_strdup(haproxy_value(r, &out) ? text_get(&out) : "(refused)");
  text_free(&out);
  free(r);
  return value;
}

START_TEST(test_haproxy_values_are_targets) {
  static const char *const hostile[] = {"127.0.0.1:80;quit",
                                        "127.0.0.1:80\n",
                                        "127.0.0.1:8 0",
                                        "a|b:80",
                                        "a!b:80",
                                        ":80",
                                        "127.0.0.1:",
                                        "[]:80"};
  static const char *const unfit[] = {"",      "a b",  "a\tb", "a\nb", "a;b",
                                      "a\\b",  "a\"b", "<<",   "#1",   "@1",
                                      "a\x7f", "a$b",  "a'b",  "a%b",  "a<b"};
  char *value = value_with(1, "127.1.2.3:4000");

  ck_assert_str_eq(value, "127.1.2.3|4000|a1/00000000000000000000000000000000");
  free(value);
  value = value_with(1, "[::1]:80");
  ck_assert_str_eq(value, "::1|80|a1/00000000000000000000000000000000");
  free(value);
  for (size_t targets = 2; targets <= TO_MOST; targets++) {
    size_t slots = 1;

    value = value_with(targets, "[1111:2222:3333:4444:5555:6666:7777:8888]:"
                                "65535");
    for (const char *at = value; (at = strchr(at, '!')) != NULL; at++)
      slots++;
    ck_assert_uint_eq(slots, HAPROXY_SLOTS);
    ck_assert_uint_lt(strlen(value) + HAPROXY_KEY_MOST + 1, HAPROXY_LINE_MOST);
    ck_assert(haproxy_is_plain(value, strlen(value)));
    free(value);
  }
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    value = value_with(1, hostile[i]);
    /* Such a document is none; whatever a block makes of it is no command. */
    ck_assert_msg(value[0] == '(' || haproxy_is_plain(value, strlen(value)),
                  "%s: %s", hostile[i], value);
    free(value);
  }
  for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
    ck_assert_msg(!haproxy_is_plain(unfit[i], strlen(unfit[i])), "%s",
                  unfit[i]);
  value = value_with(0, "");
  ck_assert_str_eq(value, "E03");
  free(value);
}
END_TEST

/* ---- answers ---- */

/* Lines of all answers in `data`, each with '|' behind it, '>' for a prompt. */
static void read_all(const char *data, size_t len, size_t slice, text *out) {
  static haproxy_answer a;
  size_t at = 0, used;

  memset(&a, 0, sizeof a);
  while (at < len) {
    size_t n = len - at < slice ? len - at : slice;
    enum haproxy_piece piece = haproxy_answer_next(&a, data + at, n, &used);

    at += used;
    if (piece == HAPROXY_LINE)
      text_printf(out, "%s|", a.line);
    else if (piece == HAPROXY_PROMPT)
      text_str(out, ">");
    else if (piece == HAPROXY_WRONG) {
      text_str(out, "WRONG");
      return;
    }
  }
}

START_TEST(test_haproxy_answers_in_any_slices) {
  static const struct {
    const char *sent, *read;
  } answers[] = {
      {"\n> ", "|>"},
      {"New version created: 1\n\n> ", "New version created: 1||>"},
      {"+ + + \n> ", "|>"},
      {"+ + entry not found.\n\n> \n> ", "entry not found.||>|>"},
      {"0x1 a > b\n0x2 > c\n\n> ", "0x1 a > b|0x2 > c||>"},
      {"no end", ""},
  };

  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    for (size_t slice = 1; slice < 9; slice++) {
      text out = TEXT_INIT;

      read_all(answers[i].sent, strlen(answers[i].sent), slice, &out);
      ck_assert_str_eq(text_get(&out), answers[i].read);
      text_free(&out);
    }
}
END_TEST

START_TEST(test_haproxy_answers_have_a_limit) {
  char *line = cft_calloc(1, HAPROXY_LINE_MOST + 2);
  text out = TEXT_INIT;

  memset(line, 'x', HAPROXY_LINE_MOST);
  line[HAPROXY_LINE_MOST - 1] = '\n';
  read_all(line, HAPROXY_LINE_MOST, 1000, &out);
  ck_assert_uint_eq(out.len, HAPROXY_LINE_MOST);
  text_clear(&out);
  line[HAPROXY_LINE_MOST - 1] = 'x';
  line[HAPROXY_LINE_MOST] = '\n';
  read_all(line, HAPROXY_LINE_MOST + 1, 1000, &out);
  ck_assert_str_eq(text_get(&out), "WRONG");
  text_clear(&out);
  read_all("a\0b\n> ", 6, 6, &out);
  ck_assert_str_eq(text_get(&out), "WRONG");
  text_free(&out);
  free(line);
}
END_TEST

START_TEST(test_haproxy_lines_are_read) {
  uint64_t n = 7;

  ck_assert(haproxy_info("Pid: 3606", "Pid", &n) && n == 3606);
  ck_assert(haproxy_info("Stopping: 0", "Stopping", &n) && n == 0);
  ck_assert(!haproxy_info("Pids: 1", "Pid", &n));
  ck_assert(!haproxy_info("Pid: 1x", "Pid", &n));
  ck_assert(!haproxy_info("Pid: -1", "Pid", &n));
  ck_assert(!haproxy_info("Pid:", "Pid", &n));
  ck_assert_str_eq(haproxy_map_line("0x55d7a12af6c0 a b|c"), "a b|c");
  ck_assert_ptr_null(haproxy_map_line("0x55d7a12af6c0 "));
  ck_assert_ptr_null(haproxy_map_line("0x55d7a12af6c0"));
  ck_assert_ptr_null(haproxy_map_line("a b"));
  ck_assert_ptr_null(haproxy_map_line(""));
}
END_TEST

/* ---- the model ---- */

enum { KEYS = 40, STEPS = 20000 };

/* What a HAProxy that does as it is told would have. */
typedef struct told {
  char base[KEYS][16], over[KEYS][16]; /* "": none */
  char all[16];
  uint64_t acked;
} told;

static void obey(told *t, char *command) {
  char verb[8], value[16] = "";
  unsigned key;

  ck_assert_msg(sscanf(command, "%7s map " HAPROXY_OVER " k%u %15s", verb, &key,
                       value) == 3,
                "%s", command);
  ck_assert_msg((strcmp(verb, "set") == 0) == (t->over[key][0] != '\0'), "%s",
                command);
  (void)snprintf(t->over[key], sizeof t->over[key], "%s", value);
}

static void take_changes(haproxy_model *m, told *t) {
  text commands = TEXT_INIT;
  size_t count, seen = 0;
  uint64_t batch = haproxy_model_take(m, &commands, &count);
  char *rest = commands.data, *line;

  ck_assert_uint_gt(batch, t->acked);
  while (rest != NULL && (line = strsep(&rest, "\n")) != NULL &&
         *line != '\0') {
    obey(t, line);
    seen++;
  }
  ck_assert_uint_eq(seen, count);
  t->acked = batch;
  text_free(&commands);
}

static void take_all(haproxy_model *m, told *t) {
  text lines = TEXT_INIT, over = TEXT_INIT;
  char *rest, *line, value[32];
  unsigned key;

  memset(t, 0, sizeof *t);
  t->acked = haproxy_model_take_all(m, &lines, &over);
  ck_assert_uint_ne(t->acked, 0);
  rest = lines.data;
  while (rest != NULL && (line = strsep(&rest, "\n")) != NULL &&
         *line != '\0') {
    if (sscanf(line, HAPROXY_ALL " %15s", t->all) == 1)
      continue;
    ck_assert_int_eq(sscanf(line, "k%u %15s", &key, value), 2);
    ck_assert_str_eq(t->base[key], "");
    (void)snprintf(t->base[key], sizeof t->base[key], "%.15s", value);
  }
  (void)snprintf(value, sizeof value, "%s%s%s",
                 t->all[0] != '\0' ? HAPROXY_ALL " " : "", t->all,
                 t->all[0] != '\0' ? "\n" : "");
  ck_assert_str_eq(text_get(&over), value);
  text_free(&lines);
  text_free(&over);
}

static void add_up(haproxy_digest *d, const char *key, const char *value) {
  char line[32];

  if (value[0] == '\0')
    return;
  (void)snprintf(line, sizeof line, "%s %s", key, value);
  haproxy_digest_add(d, line, strlen(line));
}

/* What visitors find is what is wanted, and the model knows that. */
static void check_told(const haproxy_model *m, const told *t,
                       char wanted[KEYS][16]) {
  haproxy_digest base = {0, 0}, over = {0, 0}, is_base, is_over;
  char key[8];

  ck_assert_uint_eq(haproxy_model_waiting(m), 0);
  for (unsigned i = 0; i < KEYS; i++) {
    const char *found = t->over[i][0] != '\0' ? t->over[i] : t->base[i];

    (void)snprintf(key, sizeof key, "k%u", i);
    add_up(&base, key, t->base[i]);
    add_up(&over, key, t->over[i]);
    ck_assert_str_eq(strcmp(found, HAPROXY_GONE) == 0 ? "" : found, wanted[i]);
    if (wanted[i][0] == '\0')
      continue;
    ck_assert(haproxy_model_has(m, key, wanted[i], t->acked));
    ck_assert(!haproxy_model_has(m, key, wanted[i], 0));
    ck_assert(!haproxy_model_has(m, key, "else", t->acked));
  }
  add_up(&base, HAPROXY_ALL, t->all);
  add_up(&over, HAPROXY_ALL, t->all);
  haproxy_model_digests(m, &is_base, &is_over);
  ck_assert(is_base.count == base.count && is_base.sum == base.sum);
  ck_assert(is_over.count == over.count && is_over.sum == over.sum);
}

static bool has(const told *t, unsigned key, const char *value) {
  return strcmp(t->over[key][0] != '\0' ? t->over[key] : t->base[key], value) ==
         0;
}

static unsigned dice(unsigned *seed, unsigned sides) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 16) % sides;
}

START_TEST(test_haproxy_model_brings_a_map_to_what_is_wanted) {
  static char wanted[KEYS][16];
  haproxy_model *m = haproxy_model_new();
  unsigned seed = 1;
  told t;

  ck_assert_ptr_nonnull(m);
  ck_assert(haproxy_model_set(m, HAPROXY_ALL, "ok"));
  memset(&t, 0, sizeof t);
  memset(wanted, 0, sizeof wanted);
  for (int step = 0; step < STEPS; step++) {
    unsigned key = dice(&seed, KEYS), what = dice(&seed, 100);
    char name[8];

    (void)snprintf(name, sizeof name, "k%u", key);
    if (what < 90) {
      (void)snprintf(wanted[key], sizeof wanted[key], "%s%.0u",
                     what < 30 ? "" : "v", what < 30 ? 0 : dice(&seed, 9) + 1);
      ck_assert(haproxy_model_set(m, name, what < 30 ? NULL : wanted[key]));
      ck_assert(!haproxy_model_has(m, name, wanted[key], t.acked) ||
                has(&t, key, wanted[key]));
    } else if (what < 97 && !haproxy_model_wants_all(m)) {
      do
        take_changes(m, &t);
      while (haproxy_model_waiting(m) != 0);
      check_told(m, &t, wanted);
    } else if (what < 98) {
      haproxy_model_forget(m);
      ck_assert(!haproxy_model_has(m, name, wanted[key], UINT64_MAX));
    } else {
      take_all(m, &t);
      check_told(m, &t, wanted);
    }
  }
  haproxy_model_free(m);
}
END_TEST

START_TEST(test_haproxy_model_becomes_another) {
  haproxy_model *m = haproxy_model_new(), *other = haproxy_model_new();
  char wanted[KEYS][16], key[8];
  told t;

  memset(&t, 0, sizeof t);
  memset(wanted, 0, sizeof wanted);
  ck_assert(haproxy_model_set(m, "k1", "old"));
  ck_assert(haproxy_model_set(m, "k2", "old"));
  take_all(m, &t);
  for (unsigned i = 2; i < KEYS; i++) {
    (void)snprintf(key, sizeof key, "k%u", i);
    (void)snprintf(wanted[i], sizeof wanted[i], "new");
    ck_assert(haproxy_model_set(other, key, "new"));
  }
  haproxy_model_become(m, other);
  ck_assert(haproxy_model_wants_all(m));
  ck_assert_uint_eq(haproxy_model_waiting(m), KEYS - 2);
  take_all(m, &t);
  check_told(m, &t, wanted);
  haproxy_model_free(m);
  haproxy_model_free(NULL);
}
END_TEST

/* Not more lies over the base than HAProxy looks through in no time. */
START_TEST(test_haproxy_model_wants_all_after_many_changes) {
  haproxy_model *m = haproxy_model_new();
  text out = TEXT_INIT, over = TEXT_INIT;
  size_t count;
  char key[16];

  ck_assert(haproxy_model_wants_all(m));
  (void)haproxy_model_take_all(m, &out, &over);
  for (int i = 0; i < HAPROXY_OVER_MOST; i++) {
    (void)snprintf(key, sizeof key, "k%d", i);
    ck_assert(haproxy_model_set(m, key, "1"));
    if (i % 2 != 0)
      while (haproxy_model_waiting(m) != 0)
        ck_assert_uint_ne(haproxy_model_take(m, &out, &count), 0);
  }
  ck_assert(!haproxy_model_wants_all(m));
  ck_assert(haproxy_model_set(m, "k0", "2"));
  while (haproxy_model_waiting(m) != 0)
    ck_assert_uint_ne(haproxy_model_take(m, &out, &count), 0);
  ck_assert(!haproxy_model_wants_all(m));
  ck_assert(haproxy_model_set(m, "one.more", "1"));
  ck_assert(haproxy_model_wants_all(m));
  text_free(&out);
  text_free(&over);
  haproxy_model_free(m);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_haproxy_parts");
  TCase *parts = tcase_create("parts");

  tcase_add_test(parts, test_haproxy_keys_are_plain);
  tcase_add_test(parts, test_haproxy_values_are_targets);
  tcase_add_test(parts, test_haproxy_answers_in_any_slices);
  tcase_add_test(parts, test_haproxy_answers_have_a_limit);
  tcase_add_test(parts, test_haproxy_lines_are_read);
  tcase_add_test(parts, test_haproxy_model_brings_a_map_to_what_is_wanted);
  tcase_add_test(parts, test_haproxy_model_becomes_another);
  tcase_add_test(parts, test_haproxy_model_wants_all_after_many_changes);
  suite_add_tcase(suite, parts);
  return cft_run(suite);
}
