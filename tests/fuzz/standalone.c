/*
 * main() of a fuzzer built without libFuzzer: replays the files of a corpus,
 * then tries a fixed number of mutations of them. Mutation number i depends
 * on the corpus, the seed and i alone, so that one that fails can be run again
 * by itself (--only). Finds less than libFuzzer; keeps what was found fixed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20, FILES_MAX = 4096, HANG_SECONDS = 60 };

typedef struct bytes {
  uint8_t *data;
  size_t size;
} bytes;

typedef struct corpus {
  bytes files[FILES_MAX];
  char *names[FILES_MAX];
  size_t count;
} corpus;

/* What is being tried, told when the process dies of it. */
static char current[512];

static void die(const char *what, const char *path) {
  (void)fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
  exit(EXIT_FAILURE);
}

static void *allocate(size_t size) {
  void *block = malloc(size != 0 ? size : 1);

  if (block == NULL)
    die("allocate", "memory");
  return block;
}

/* ---- telling which input it was ---- */

static void tell(void) {
  static const char before[] = "\ninput: ";

  if (write(STDERR_FILENO, before, sizeof before - 1) < 0 ||
      write(STDERR_FILENO, current, strlen(current)) < 0 ||
      write(STDERR_FILENO, "\n", 1) < 0)
    _exit(EXIT_FAILURE);
}

static void on_signal(int number) {
  tell();
  if (number == SIGALRM) {
    static const char hang[] = "it took too long\n";
    (void)!write(STDERR_FILENO, hang, sizeof hang - 1);
    _exit(EXIT_FAILURE);
  }
  (void)signal(number, SIG_DFL);
  (void)raise(number);
}

/* There in builds with a sanitizer only; those end without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

static void watch(void) {
  (void)signal(SIGALRM, on_signal);
  if (__sanitizer_set_death_callback != NULL) {
    __sanitizer_set_death_callback(tell);
    return;
  }
  (void)signal(SIGABRT, on_signal);
  (void)signal(SIGSEGV, on_signal);
  (void)signal(SIGBUS, on_signal);
  (void)signal(SIGFPE, on_signal);
}

/* ---- the corpus ---- */

static bytes read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  bytes read = {allocate(INPUT_MAX), 0};

  if (file == NULL)
    die("open", path);
  read.size = fread(read.data, 1, INPUT_MAX, file);
  if (ferror(file) || (read.size == INPUT_MAX && fgetc(file) != EOF)) {
    errno = ferror(file) ? errno : EFBIG;
    die("read", path);
  }
  (void)fclose(file);
  if (read.size != 0) {
    uint8_t *fitting = realloc(read.data, read.size);

    read.data = fitting != NULL ? fitting : read.data;
  }
  return read;
}

static void add_file(corpus *all, const char *path) {
  if (all->count == FILES_MAX) {
    errno = EMFILE;
    die("add", path);
  }
  all->files[all->count] = read_file(path);
  all->names[all->count] = strdup(path);
  if (all->names[all->count] == NULL)
    die("add", path);
  all->count++;
}

static int not_hidden(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* A file, or the files of a directory in the order of their names. */
static void add_path(corpus *all, const char *path) {
  struct stat info;
  struct dirent **entries;
  int count;

  if (stat(path, &info) != 0)
    die("find", path);
  if (!S_ISDIR(info.st_mode)) {
    add_file(all, path);
    return;
  }
  count = scandir(path, &entries, not_hidden, alphasort);
  if (count < 0)
    die("list", path);
  for (int i = 0; i < count; i++) {
    char name[1024];
    int len = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);

    if (len < 0 || (size_t)len >= sizeof name)
      die("list", path);
    add_file(all, name);
    free(entries[i]);
  }
  free(entries);
}

/* ---- mutations ---- */

static uint64_t next(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t bound) {
  return bound == 0 ? 0 : (size_t)(next(state) % bound);
}

/* Replaces cut bytes at `at` by the len bytes of text, if there is room. */
static void splice(bytes *b, size_t at, size_t cut, const void *text,
                   size_t len) {
  if (b->size - cut + len > INPUT_MAX)
    return;
  memmove(b->data + at + len, b->data + at + cut, b->size - at - cut);
  if (len != 0)
    memcpy(b->data + at, text, len);
  b->size = b->size - cut + len;
}

static void mutate(bytes *b, const corpus *all, uint64_t *rng) {
  /* clang-format off */
  static const char *const tokens[] = {
      "\"", "\\", "{", "}", "[", "]", ",", ":", "\n", "\r\n", "\\u0000",
      "\\ud800", "\\udc00", "\\\"", "null", "true", "-1", "1e999", "\xc3\xa9",
      "\xed\xa0\x80", "\xff", "%00", "%2F", "@", "://", "[::1]", "data: ",
      "\"seq\":", "\"id\":", "\"changes\":[{\"rev\":", "\"deleted\":true",
      "\"last_seq\":", "\"pending\":0", "18446744073709551616"};
  /* clang-format on */
  size_t at = below(rng, b->size + 1);
  size_t left = b->size - at;
  size_t len = below(rng, (left < 64 ? left : 64) + 1);

  switch (below(rng, 7)) {
  case 0: /* flip a bit */
    if (left != 0)
      b->data[at] ^= (uint8_t)(1U << below(rng, 8));
    break;
  case 1: /* another byte */
    if (left != 0)
      b->data[at] = (uint8_t)next(rng);
    break;
  case 2: /* remove */
    splice(b, at, len, NULL, 0);
    break;
  case 3: { /* repeat */
    uint8_t copy[64];

    memcpy(copy, b->data + at, len);
    splice(b, at, 0, copy, len);
    break;
  }
  case 4: { /* a word of the grammar, put in or written over */
    const char *token = tokens[below(rng, sizeof tokens / sizeof tokens[0])];

    splice(b, at, below(rng, 2) == 0 ? 0 : len, token, strlen(token));
    break;
  }
  case 5: { /* a piece of another file */
    const bytes *other = &all->files[below(rng, all->count)];
    size_t from = below(rng, other->size + 1);
    size_t most = other->size - from;

    splice(b, at, len, other->data + from,
           below(rng, (most < 4096 ? most : 4096) + 1));
    break;
  }
  default: /* cut off */
    if (below(rng, 4) == 0)
      b->size = at;
    break;
  }
}

/* ---- running ---- */

/* The fuzzer gets a block of just this size, so that reading on is seen. */
static void try_input(const uint8_t *data, size_t size) {
  uint8_t *exact = allocate(size);

  if (size != 0)
    memcpy(exact, data, size);
  (void)alarm(HANG_SECONDS);
  if (LLVMFuzzerTestOneInput(exact, size) != 0) {
    tell();
    (void)fprintf(stderr, "the fuzzer did not answer 0\n");
    exit(EXIT_FAILURE);
  }
  (void)alarm(0);
  free(exact);
}

static void try_mutation(const corpus *all, uint64_t seed, uint64_t number,
                         bytes *scratch) {
  uint64_t rng = seed ^ (number * 0xd1342543de82ef95U);
  const bytes *base = &all->files[below(&rng, all->count)];
  size_t steps = 1 + below(&rng, 8);

  (void)snprintf(current, sizeof current, "mutation; again with --only %llu",
                 (unsigned long long)number);
  if (base->size != 0)
    memcpy(scratch->data, base->data, base->size);
  scratch->size = base->size;
  while (steps-- != 0)
    mutate(scratch, all, &rng);
  try_input(scratch->data, scratch->size);
}

static uint64_t number_of(const char *text, const char *flag) {
  char *end;
  unsigned long long value;

  errno = 0;
  value = text != NULL ? strtoull(text, &end, 10) : 0;
  if (text == NULL || errno != 0 || end == text || *end != '\0') {
    (void)fprintf(stderr, "%s needs a number\n", flag);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  static corpus all;
  bytes scratch = {allocate(INPUT_MAX), 0};
  uint64_t count = 0, seed = 20130902, only = UINT64_MAX;
  bool single = false;

  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--count") == 0) {
      count = number_of(argv[i + 1], argv[i]);
      i++;
    } else if (strcmp(argv[i], "--seed") == 0) {
      seed = number_of(argv[i + 1], argv[i]);
      i++;
    } else if (strcmp(argv[i], "--only") == 0) {
      only = number_of(argv[i + 1], argv[i]);
      single = true;
      i++;
    } else {
      add_path(&all, argv[i]);
    }
  }
  if (all.count == 0) {
    (void)fprintf(stderr,
                  "usage: %s [--count N] [--seed N] [--only N] CORPUS...\n"
                  "no corpus file was found\n",
                  argv[0]);
    return 2;
  }

  watch();
  for (size_t i = 0; !single && i < all.count; i++) {
    (void)snprintf(current, sizeof current, "%s", all.names[i]);
    try_input(all.files[i].data, all.files[i].size);
  }
  if (single)
    try_mutation(&all, seed, only, &scratch);
  for (uint64_t i = 0; !single && i < count; i++)
    try_mutation(&all, seed, i, &scratch);
  (void)printf("%zu files, %llu mutations\n", all.count,
               (unsigned long long)(single ? 1 : count));

  for (size_t i = 0; i < all.count; i++) {
    free(all.files[i].data);
    free(all.names[i]);
  }
  free(scratch.data);
  return 0;
}
