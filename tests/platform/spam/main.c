/* Options of the load; see spam.h. */
#include "spam.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t spam_now_us(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b) {
  int64_t x, y;

  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

int64_t spam_rank(int64_t *all, unsigned count, unsigned percent) {
  if (count == 0)
    return 0;
  qsort(all, count, sizeof *all, compare);
  return all[(uint64_t)(count - 1) * percent / 100];
}

static void usage(FILE *to) {
  (void)fputs(
      "usage: platform_spam flood|quiet --api ADDR:PORT --token-file FILE\n"
      "  --prefix NAME   apps are NAME-0, NAME-1, ...  (spam)\n"
      "  --apps N        so many of them  (60)\n"
      "flood: start calls at a rate, whether they are answered or not\n"
      "  --rate N        in a second  (2000)\n"
      "  --seconds N     (60)\n"
      "  --force N       of 1,000 calls so many want another drone  (20)\n"
      "  --seed N        (1)\n"
      "quiet: creates, starts and stops one after the other\n"
      "  --first N       the first one's number  (0)\n"
      "  --every MS      so far apart at least  (0)\n",
      to);
}

static void take_token(spam_options *o, const char *path) {
  FILE *f = fopen(path, "r");

  if (f == NULL || fgets(o->token, sizeof o->token, f) == NULL) {
    perror(path);
    exit(2);
  }
  (void)fclose(f);
  o->token[strcspn(o->token, "\r\n")] = '\0';
}

static void take(spam_options *o, int option, const char *value) {
  unsigned n = (unsigned)strtoul(value, NULL, 10);

  switch (option) {
  case 'a':
    o->api = value;
    return;
  case 'p':
    o->prefix = value;
    return;
  case 't':
    take_token(o, value);
    return;
  case 'n':
    o->apps = n;
    return;
  case 'r':
    o->rate = n;
    return;
  case 's':
    o->seconds = n;
    return;
  case 'f':
    o->force = n;
    return;
  case 'S':
    o->seed = strtoull(value, NULL, 10);
    return;
  case 'i':
    o->first = n;
    return;
  case 'e':
    o->every_ms = n;
    return;
  default:
    usage(stderr);
    exit(2);
  }
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"api", 1, NULL, 'a'},        {"prefix", 1, NULL, 'p'},
      {"token-file", 1, NULL, 't'}, {"apps", 1, NULL, 'n'},
      {"rate", 1, NULL, 'r'},       {"seconds", 1, NULL, 's'},
      {"force", 1, NULL, 'f'},      {"seed", 1, NULL, 'S'},
      {"first", 1, NULL, 'i'},      {"every", 1, NULL, 'e'},
      {"help", 0, NULL, 'h'},       {NULL, 0, NULL, 0}};
  spam_options o = {.prefix = "spam",
                    .apps = 60,
                    .rate = 2000,
                    .seconds = 60,
                    .force = 20,
                    .seed = 1};
  int option;

  (void)signal(SIGPIPE, SIG_IGN);
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
    if (option == 'h') {
      usage(stdout);
      return 0;
    } else {
      take(&o, option, optarg);
    }
  if (optind + 1 != argc || o.api == NULL || o.token[0] == '\0' ||
      o.apps == 0 || o.apps > APPS_MOST || o.rate == 0 || o.seconds == 0) {
    usage(stderr);
    return 2;
  }
  if (strcmp(argv[optind], "flood") == 0)
    return spam_flood(&o);
  if (strcmp(argv[optind], "quiet") == 0)
    return spam_quiet(&o);
  usage(stderr);
  return 2;
}
