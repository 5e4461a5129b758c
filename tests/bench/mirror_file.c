/*
 * A mirror's snapshot: how long it takes to save and to load it, all at once
 * and in steps, and what the longest step was.
 *
 *   mirror_file [--entries N] [--doc BYTES] [--dir PATH] [--rounds N]
 *
 * Ids are 32 hexadecimal digits, as CouchDB makes them; --doc 0 (the default)
 * is a mirror without documents. What is read was written just before: it
 * comes from the system's cache, as after a restart of the program.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mirror_file.h"

enum { STEP = 2000 }; /* entries */

typedef struct settings {
  size_t entries, doc, rounds;
  const char *dir;
} settings;

typedef struct times { /* the best of all rounds, in ms */
  double save, steps, longest, load, load_cpu;
  size_t step_count;
  off_t bytes;
} times;

static char key[] = "db&include_docs=false", seq[] = "1000000-g1AAAA";

static double clock_ms(clockid_t clock) {
  struct timespec t;

  (void)clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double now_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

static double cpu_ms(void) { return clock_ms(CLOCK_PROCESS_CPUTIME_ID); }

static bool check(int rc, const cfi_error *error) {
  if (rc < 0)
    (void)fprintf(stderr, "mirror_file: %s\n", error->text);
  return rc >= 0;
}

/* ---- values: each a text of its own ---- */

static void keep(void *ctx, void *value) {
  (void)ctx;
  ++*(size_t *)value;
}

static void drop(void *ctx, void *value) {
  size_t *count = value;

  (void)ctx;
  if (--*count == 0)
    free(count);
}

static size_t *new_value(const char *data, size_t len) {
  size_t *value = malloc(2 * sizeof *value + len);

  if (value == NULL)
    return NULL;
  value[0] = 1;
  value[1] = len;
  if (data != NULL)
    memcpy(value + 2, data, len);
  else
    memset(value + 2, 'x', len);
  return value;
}

static int encode(void *ctx, const cfi_tree_entry *entry, cfi_buf *out,
                  cfi_error *error) {
  const size_t *value = entry->value;

  (void)ctx;
  if (cfi_buf_append(out, value + 2, value[1], SIZE_MAX) == CFI_BUF_OK)
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
}

static int decode(void *ctx, changefeed_str id, changefeed_str rev,
                  changefeed_str bytes, void **value, cfi_error *error) {
  (void)ctx;
  (void)id;
  (void)rev;
  *value = new_value(bytes.data, bytes.len);
  if (*value != NULL)
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
}

static const cfi_tree_values values = {keep, drop, NULL};
static const cfi_mirror_codec codec = {encode, decode, drop, NULL};

/* ---- the tree ---- */

/* Scatters, so that revisions look like hashes. */
static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 31) * UINT64_C(0x7fb5d329728ea185);
  return x ^ x >> 27;
}

static bool fill(cfi_tree *t, const settings *s) {
  for (size_t i = 0; i < s->entries; i++) {
    char id[40], rev[48];
    changefeed_str id_text = {id, 32}, rev_text = {rev, 0};
    size_t *value = s->doc != 0 ? new_value(NULL, s->doc) : NULL;

    (void)snprintf(id, sizeof id, "85fb71bf700c%020" PRIx64, (uint64_t)i * 977);
    rev_text.len = (size_t)snprintf(
        rev, sizeof rev, "%d-%016" PRIx64 "%016" PRIx64, (int)(mix(i) % 20) + 1,
        mix(i + 1), mix(i + UINT64_C(0x9e3779b9)));
    if ((s->doc != 0 && value == NULL) ||
        !cfi_tree_append(t, id_text, rev_text, value)) {
      (void)fprintf(stderr, "mirror_file: no memory\n");
      return false;
    }
  }
  return true;
}

static cfi_mirror_content content_of(const cfi_tree *t) {
  cfi_mirror_content c;

  cfi_tree_walk_start(t, (cfi_tree_range){{NULL, 0}, {NULL, 0}}, &c.walk);
  c.count = cfi_tree_count(t);
  c.digest = cfi_tree_digest(t);
  return c;
}

/* ---- what is measured ---- */

static void keep_best(double *best, double ms) {
  if (*best <= 0 || ms < *best)
    *best = ms;
}

static bool save(cfi_mirror_file *f, const cfi_tree *t, const settings *s,
                 times *out) {
  cfi_checkpoint p = {key, seq, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content = content_of(t);
  double begin = now_ms();
  cfi_error error;
  int rc = cfi_mirror_file_save(f, &p, &content, s->doc != 0 ? &codec : NULL,
                                &error);

  keep_best(&out->save, now_ms() - begin);
  return check(rc, &error);
}

static bool save_in_steps(cfi_mirror_file *f, const cfi_tree *t,
                          const settings *s, times *out) {
  cfi_checkpoint p = {key, seq, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content = content_of(t);
  double begin = now_ms(), longest = 0;
  cfi_mirror_writer *w;
  cfi_error error;
  int rc = cfi_mirror_writer_begin(f, &p, &content, s->doc != 0 ? &codec : NULL,
                                   &w, &error);

  if (!check(rc, &error))
    return false;
  out->step_count = 0;
  do {
    double step = now_ms();

    rc = cfi_mirror_writer_step(w, STEP, &error);
    step = now_ms() - step;
    if (step > longest)
      longest = step;
    out->step_count++;
  } while (rc == CHANGEFEED_TIMEOUT);
  keep_best(&out->steps, now_ms() - begin);
  keep_best(&out->longest, longest);
  cfi_mirror_writer_free(w);
  return check(rc, &error);
}

static bool load(const cfi_alloc *alloc, cfi_mirror_file *f, const cfi_tree *t,
                 const settings *s, times *out) {
  cfi_tree *back = cfi_tree_new(alloc, s->doc != 0 ? &values : NULL);
  double begin = now_ms(), cpu = cpu_ms();
  cfi_checkpoint p;
  cfi_error error;
  bool good;

  if (back == NULL)
    return false;
  good = check(cfi_mirror_file_load(f, key, s->doc != 0 ? &codec : NULL, back,
                                    &p, &error),
               &error);
  keep_best(&out->load, now_ms() - begin);
  keep_best(&out->load_cpu, cpu_ms() - cpu);
  if (good) {
    good = cfi_digest_equal(cfi_tree_digest(back), cfi_tree_digest(t));
    cfi_checkpoint_free(alloc, &p);
  }
  cfi_tree_free(back);
  return good;
}

static bool measure(const settings *s, const char *path, times *out) {
  cfi_mirror_file *f = NULL;
  struct stat info;
  cfi_alloc alloc;
  cfi_error error;
  cfi_tree *t;
  bool good;

  (void)cfi_alloc_init(&alloc, NULL);
  t = cfi_tree_new(&alloc, s->doc != 0 ? &values : NULL);
  good =
      t != NULL && fill(t, s) &&
      check(cfi_mirror_file_open(&alloc, path, CFI_MIRROR_FILE_OWN, &f, &error),
            &error);
  for (size_t i = 0; good && i < s->rounds; i++)
    good = save(f, t, s, out) && save_in_steps(f, t, s, out) &&
           load(&alloc, f, t, s, out);
  if (good && stat(path, &info) == 0)
    out->bytes = info.st_size;
  cfi_mirror_file_close(f);
  cfi_tree_free(t);
  return good && out->bytes != 0;
}

static void print(const settings *s, const times *t) {
  double mib = (double)t->bytes / 1048576;

  (void)printf("%zu entries, documents of %zu bytes: %.1f MiB, %.1f bytes an "
               "entry\n",
               s->entries, s->doc, mib, (double)t->bytes / (double)s->entries);
  (void)printf("saved at once   %8.1f ms  %7.0f MiB/s\n", t->save,
               mib * 1000 / t->save);
  (void)printf("saved in steps  %8.1f ms  %zu steps, the longest %.1f ms\n",
               t->steps, t->step_count, t->longest);
  (void)printf("loaded          %8.1f ms  %7.0f MiB/s, %.0f ns an entry; "
               "%.1f ms of the processor\n",
               t->load, mib * 1000 / t->load,
               t->load * 1e6 / (double)s->entries, t->load_cpu);
}

/* False on what is no number. */
static bool number(const char *text, size_t *out) {
  char *end;

  *out = (size_t)strtoull(text, &end, 10);
  return end != text && *end == '\0';
}

int main(int argc, char **argv) {
  settings s = {1000000, 0, 3, "/tmp"};
  times t = {0};
  char dir[600], path[620];
  bool good = true;

  for (int i = 1; i < argc && good; i += 2) {
    if (i + 1 == argc)
      good = false;
    else if (strcmp(argv[i], "--entries") == 0)
      good = number(argv[i + 1], &s.entries) && s.entries != 0;
    else if (strcmp(argv[i], "--doc") == 0)
      good = number(argv[i + 1], &s.doc);
    else if (strcmp(argv[i], "--rounds") == 0)
      good = number(argv[i + 1], &s.rounds) && s.rounds != 0;
    else if (strcmp(argv[i], "--dir") == 0)
      s.dir = argv[i + 1];
    else
      good = false;
  }
  if (!good) {
    (void)fprintf(stderr, "usage: mirror_file [--entries N] [--doc BYTES] "
                          "[--dir PATH] [--rounds N]\n");
    return 2;
  }
  (void)snprintf(dir, sizeof dir, "%s/changefeed-bench-XXXXXX", s.dir);
  if (mkdtemp(dir) == NULL) {
    perror(dir);
    return 1;
  }
  (void)snprintf(path, sizeof path, "%s/mirror", dir);
  good = measure(&s, path, &t);
  if (good)
    print(&s, &t);
  (void)unlink(path);
  (void)snprintf(path, sizeof path, "%s/mirror.lock", dir);
  (void)unlink(path);
  (void)rmdir(dir);
  return good ? 0 : 1;
}
