/* What options of a run have in common: numbers, and laws by their names. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool number_of(const char *value, uint64_t least, uint64_t most,
               uint64_t *out) {
  char *end = NULL;
  errno = 0;
  unsigned long long n = strtoull(value, &end, 10);
  if (*value < '0' || *value > '9' || *end || errno || n < least || n > most) {
    (void)fprintf(stderr, "a number from %llu to %llu is needed, not \"%s\"\n",
                  (unsigned long long)least, (unsigned long long)most, value);
    return false;
  }
  *out = n;
  return true;
}

bool small_of(const char *value, unsigned least, unsigned most, unsigned *out) {
  uint64_t n = 0;
  bool ok = number_of(value, least, most, &n);
  if (ok)
    *out = (unsigned)n;
  return ok;
}

unsigned laws_named(law_list laws, const char *list, bool maybe) {
  unsigned bits = 0;
  for (unsigned law = 0; law < laws.count; law++)
    for (const char *at = list; (at = strstr(at, laws.names[law])); at++) {
      char next = at[strlen(laws.names[law])];
      if (next == '?' ? maybe : !maybe && (next == '\0' || next == ','))
        bits |= 1U << law;
    }
  return bits;
}

bool laws_as_expected(law_list laws, const char *expect, unsigned broken,
                      bool all) {
  if (!expect)
    return broken == 0;
  unsigned must = laws_named(laws, expect, false);
  unsigned may = laws_named(laws, expect, true);
  return !(broken & ~(must | may)) && (!all || (broken & must) == must);
}

static void print_some(law_list laws, const char *what, unsigned bits) {
  printf("%s", what);
  for (unsigned law = 0; law < laws.count; law++)
    if (bits & 1U << law)
      printf(" %s", laws.names[law]);
  printf("%s", bits ? "" : " nothing");
}

void laws_print(law_list laws, const char *of, const char *expect,
                uint64_t runs, unsigned broken, bool ok) {
  printf("%-4s %llu runs of %s", ok ? "ok" : "BAD", (unsigned long long)runs,
         of);
  print_some(laws, ": broken", broken);
  print_some(laws, "; held", ~broken & ((1U << laws.count) - 1));
  printf("%s%s\n", expect ? "; expected " : "", expect ? expect : "");
}
