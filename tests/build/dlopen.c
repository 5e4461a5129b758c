/* Loads the library, follows a feed with it to its end, and unloads it, many
   times: a plugin's life. Nothing is left behind: no descriptor, no thread, no
   mapping of the library, no memory that grows.

     dlopen LIBRARY URL ROUNDS ROWS */
#include <changefeed/changefeed.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ISO C has no cast from an object pointer to a function pointer. */
typedef union symbol {
  void *object;
  int (*options_new)(changefeed_options **);
  void (*options_free)(changefeed_options *);
  int (*options_set)(changefeed_options *, const char *, const char *);
  int (*open)(changefeed **, changefeed_loop *, changefeed_options *);
  int (*next)(changefeed *, int, const changefeed_change **);
  void (*close)(changefeed *);
} symbol;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "dlopen: %s: %s\n", what, why != NULL ? why : "");
  exit(1);
}

static symbol find(void *library, const char *name) {
  symbol s;

  s.object = dlsym(library, name);
  if (s.object == NULL)
    fail(name, dlerror());
  return s;
}

static long follow(void *library, const char *url) {
  const char *const set[][2] = {{"url", url}, {"proxy", "-"}, {"mode", "once"}};
  changefeed_options *options = NULL;
  const changefeed_change *change;
  changefeed *feed = NULL;
  long rows = 0;
  int rc = find(library, "changefeed_options_new").options_new(&options);

  for (size_t i = 0; i < sizeof set / sizeof *set && rc == CHANGEFEED_OK; i++)
    rc = find(library, "changefeed_options_set")
             .options_set(options, set[i][0], set[i][1]);
  if (rc == CHANGEFEED_OK)
    rc = find(library, "changefeed_open").open(&feed, NULL, options);
  if (rc != CHANGEFEED_OK)
    fail("the feed cannot be opened", url);
  while ((rc = find(library, "changefeed_next").next(feed, 30000, &change)) ==
         CHANGEFEED_OK)
    rows++;
  if (rc != CHANGEFEED_END)
    fail("the feed did not come to its end", url);
  find(library, "changefeed_close").close(feed);
  find(library, "changefeed_options_free").options_free(options);
  return rows;
}

static int count_in(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;

  if (dir == NULL)
    fail(path, "cannot be read");
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

/* KiB of a line of /proc/self/status. */
static long resident(void) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  long kib = -1;

  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
      break;
  if (file == NULL || kib < 0)
    fail("/proc/self/status", "cannot be read");
  fclose(file);
  return kib;
}

static int is_mapped(const char *library) {
  const char *slash = strrchr(library, '/');
  const char *name = slash != NULL ? slash + 1 : library;
  FILE *file = fopen("/proc/self/maps", "r");
  char line[1024];
  int found = 0;

  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    found = found || strstr(line, name) != NULL;
  if (file == NULL)
    fail("/proc/self/maps", "cannot be read");
  fclose(file);
  return found;
}

int main(int argc, char **argv) {
  const char *instrumented = getenv("CFT_INSTRUMENTED");
  int rounds, fds = 0, threads = 0, settle = 10;
  long kib = 0, grown;

  if (argc != 5)
    fail("usage", "dlopen LIBRARY URL ROUNDS ROWS");
  rounds = atoi(argv[3]);
  for (int i = 0; i < rounds; i++) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
      fail("it cannot be loaded", dlerror());
    if (follow(library, argv[2]) != atol(argv[4]))
      fail("rows are missing", argv[4]);
    if (dlclose(library) != 0)
      fail("it cannot be unloaded", dlerror());
    if (i == settle - 1) { /* caches of libcurl's libraries are filled */
      fds = count_in("/proc/self/fd");
      threads = count_in("/proc/self/task");
      kib = resident();
    }
  }
  grown = resident() - kib;
  printf("%d rounds: %d descriptors, %d threads, %ld KiB more\n", rounds,
         count_in("/proc/self/fd") - fds, count_in("/proc/self/task") - threads,
         grown);
  if (instrumented != NULL && strcmp(instrumented, "1") == 0)
    grown = 0; /* a sanitizer keeps what was freed, and the library loaded */
  else if (is_mapped(argv[1]))
    fail(argv[1], "is still mapped");
  if (count_in("/proc/self/fd") != fds ||
      count_in("/proc/self/task") != threads || grown > 1024)
    fail("something is left behind", "");
  return 0;
}
