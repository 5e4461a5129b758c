/* See couch.h. The server is started by cft_proc with its own command line,
   told to watch this process, and known by its ready line. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "couch.h"
#include "mem.h"
#include "proc.h"

#include <check.h>
#include <curl/curl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A busy machine may need long; a server that ends is noticed at once. */
#define READY_MS 60000
#define EXIT_MS 10000
#define HTTP_MS 60000L
#define MAX_ARGS 32

struct cft_couch {
  cft_proc *proc; /* NULL: COUCHDB_URL, or killed */
  bool ours;
  char *url;
  char *script;
  char *dir; /* of the data, or NULL */
  char port[8];
  char **args; /* ours to free, NULL-ended */
  char **databases;
  size_t database_count, database_cap;
};

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *fmt, ...) {
  char *text = NULL;
  va_list ap;
  int n;
  va_start(ap, fmt);
  n = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (n < 0)
    ck_abort_msg("no memory");
  return text;
}

/* ---- the server ---------------------------------------------------------- */

static char *script_path(void) {
  static const char self[] = __FILE__;
  const char *dir = getenv("CFT_COUCH_SERVE"), *slash = strrchr(self, '/');
  char *base =
      dir && *dir ? format("%s", dir)
                  : format("%.*s/../couch-serve",
                           slash ? (int)(slash - self) : 1, slash ? self : ".");
  char *script = format("%s/couch-serve.js", base);
  char *package = format("%s/node_modules/express-pouchdb", base);
  if (access(script, R_OK) != 0)
    ck_abort_msg("there is no %s: set CFT_COUCH_SERVE to tests/couch-serve",
                 script);
  if (access(package, R_OK) != 0)
    ck_abort_msg("couch-serve is not installed: run \"npm ci\" in %s", base);
  free(package);
  free(base);
  return script;
}

/* What the server said before it ended, for the message of a failure. */
static const char *last_words(cft_couch *couch) {
  size_t len;
  (void)cft_proc_wait(couch->proc, 1000, &(int){0});
  return cft_proc_text(couch->proc, CFT_STDERR, &len);
}

static void trim_slash(char *url) {
  size_t len = strlen(url);
  if (len > 0 && url[len - 1] == '/')
    url[len - 1] = '\0';
}

/* False, with the server stopped, when it did not get ready; the reason is
   then in *words. */
static bool launch(cft_couch *couch, char **words) {
  static const char ready[] = "ready ";
  const char *argv[MAX_ARGS + 12];
  size_t n = 0;
  const char *line;
  char pid[24];
  (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
  argv[n++] = "node";
  argv[n++] = couch->script;
  argv[n++] = "--port";
  argv[n++] = couch->port;
  argv[n++] = "--parent";
  argv[n++] = pid;
  if (couch->dir) {
    argv[n++] = "--dir";
    argv[n++] = couch->dir;
  }
  for (char **arg = couch->args; *arg; arg++)
    argv[n++] = *arg;
  argv[n] = NULL;
  couch->proc = cft_proc_start(argv, NULL);
  if (!couch->proc) {
    *words = format("cannot run node: install Node.js 18 or later");
    return false;
  }
  line = cft_proc_line(couch->proc, CFT_STDOUT, READY_MS);
  if (!line || strncmp(line, ready, sizeof ready - 1) != 0) {
    *words = format("couch-serve did not start: %s", last_words(couch));
    cft_proc_free(couch->proc);
    couch->proc = NULL;
    return false;
  }
  free(couch->url);
  couch->url = format("%s", line + sizeof ready - 1);
  trim_slash(couch->url);
  return true;
}

/* The restart shall have the port that the system chose. */
static void keep_port(cft_couch *couch) {
  const char *colon = strrchr(couch->url, ':');
  if (!colon || strlen(colon + 1) >= sizeof couch->port)
    ck_abort_msg("couch-serve gave the URL %s, without a port", couch->url);
  (void)snprintf(couch->port, sizeof couch->port, "%s", colon + 1);
}

static int remove_entry(const char *path, const struct stat *info, int type,
                        struct FTW *where) {
  (void)info;
  (void)type;
  (void)where;
  return remove(path);
}

static void remove_tree(const char *dir) {
  if (nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
    (void)fprintf(stderr, "test support: cannot remove %s\n", dir);
}

static cft_couch *start_ours(const char *const *extra_args, bool durable) {
  cft_couch *couch = cft_calloc(1, sizeof *couch);
  char *words = NULL;
  size_t count = 0;
  while (extra_args && extra_args[count])
    count++;
  if (count > MAX_ARGS)
    ck_abort_msg("more than %d options for couch-serve", MAX_ARGS);
  couch->args = cft_calloc(count + 1, sizeof *couch->args);
  for (size_t i = 0; i < count; i++)
    couch->args[i] = format("%s", extra_args[i]);
  couch->ours = true;
  couch->script = script_path();
  (void)snprintf(couch->port, sizeof couch->port, "0");
  if (durable) {
    const char *tmp = getenv("TMPDIR");
    couch->dir = format("%s/cft-couch-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(couch->dir))
      ck_abort_msg("cannot make the directory %s", couch->dir);
  }
  if (!launch(couch, &words)) {
    if (couch->dir)
      remove_tree(couch->dir);
    ck_abort_msg("%s", words);
  }
  keep_port(couch);
  return couch;
}

cft_couch *cft_couch_start(const char *const *extra_args) {
  const char *url = getenv("COUCHDB_URL");
  cft_couch *couch;
  if (!url || !*url)
    return start_ours(extra_args, false);
  couch = cft_calloc(1, sizeof *couch);
  couch->url = format("%s", url);
  trim_slash(couch->url);
  return couch;
}

cft_couch *cft_couch_start_durable(const char *const *extra_args) {
  return start_ours(extra_args, true);
}

const char *cft_couch_url(const cft_couch *couch) { return couch->url; }

bool cft_couch_is_ours(const cft_couch *couch) { return couch->ours; }

pid_t cft_couch_pid(const cft_couch *couch) {
  return couch->proc ? cft_proc_pid(couch->proc) : 0;
}

const char *cft_couch_database(cft_couch *couch, const char *stem) {
  char *url = format("%s/%s-%ld-%zu", couch->url, stem, (long)getpid(),
                     couch->database_count);
  char *answer = NULL;
  int status = cft_http("PUT", url, NULL, &answer);
  if (status != 201 && status != 202)
    ck_abort_msg("cannot create a database: %d %s", status,
                 answer ? answer : "");
  free(answer);
  couch->databases = cft_room(couch->databases, couch->database_count,
                              &couch->database_cap, sizeof *couch->databases);
  couch->databases[couch->database_count++] = url;
  return url;
}

void cft_couch_kill9(cft_couch *couch) {
  int status = 0;
  if (!couch->proc)
    ck_abort_msg("%s", couch->ours ? "couch-serve is not running"
                                   : "COUCHDB_URL is not ours to kill");
  (void)cft_proc_signal(couch->proc, SIGKILL);
  if (!cft_proc_wait(couch->proc, EXIT_MS, &status))
    ck_abort_msg("couch-serve did not end after SIGKILL");
  cft_proc_free(couch->proc);
  couch->proc = NULL;
  if (status != 128 + SIGKILL)
    ck_abort_msg("couch-serve had ended before, with status %d", status);
}

void cft_couch_restart(cft_couch *couch) {
  char *before, *words = NULL;
  if (!couch->ours)
    ck_abort_msg("COUCHDB_URL is not ours to restart");
  if (couch->proc)
    cft_couch_kill9(couch);
  before = couch->url;
  couch->url = NULL;
  if (!launch(couch, &words))
    ck_abort_msg("%s", words);
  /* Callers hold the old text. */
  free(couch->url);
  couch->url = before;
}

/* Text for a failure, or NULL; the server is gone after it. */
static char *end_process(cft_couch *couch) {
  char *trouble = NULL;
  int status = 0;
  size_t len = 0;
  const char *words;
  if (!couch->proc)
    return NULL;
  (void)cft_proc_signal(couch->proc, SIGTERM);
  if (!cft_proc_wait(couch->proc, EXIT_MS, &status))
    trouble = format("couch-serve did not end after SIGTERM");
  words = cft_proc_text(couch->proc, CFT_STDERR, &len);
  if (!trouble && (status != 0 || len > 0))
    trouble = format("couch-serve ended with status %d and said: %s", status,
                     words ? words : "");
  cft_proc_free(couch->proc);
  couch->proc = NULL;
  return trouble;
}

void cft_couch_stop(cft_couch *couch) {
  char *trouble;
  if (!couch)
    return;
  for (size_t i = 0; i < couch->database_count; i++) {
    if (!couch->ours)
      (void)cft_http("DELETE", couch->databases[i], NULL, NULL);
    free(couch->databases[i]);
  }
  trouble = end_process(couch);
  if (couch->dir)
    remove_tree(couch->dir);
  for (char **arg = couch->args; arg && *arg; arg++)
    free(*arg);
  free(couch->args);
  free(couch->databases);
  free(couch->script);
  free(couch->dir);
  free(couch->url);
  free(couch);
  if (trouble)
    ck_abort_msg("%s", trouble);
}

/* ---- the client ---------------------------------------------------------- */

typedef struct answer {
  char *data;
  size_t len, cap;
} answer;

static size_t on_data(char *data, size_t size, size_t count, void *user) {
  answer *got = user;
  size_t len = size * count;
  if (got->cap - got->len <= len) {
    size_t cap = (got->len + len + 1) * 2;
    char *grown = realloc(got->data, cap);
    if (!grown)
      return 0;
    got->data = grown;
    got->cap = cap;
  }
  if (len > 0)
    memcpy(got->data + got->len, data, len);
  got->len += len;
  got->data[got->len] = '\0';
  return len;
}

static CURLcode perform(CURL *easy, const char *method, const char *url,
                        const char *body, struct curl_slist *headers,
                        answer *got) {
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, url);
  (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, HTTP_MS);
  (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
  (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, got);
  (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  if (strcmp(method, "HEAD") == 0)
    (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (body) {
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)strlen(body));
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  }
  if (rc == CURLE_OK)
    rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return rc == CURLE_OK ? curl_easy_perform(easy) : rc;
}

/* For messages: a URL as far as it holds no password. */
static const char *without_user(const char *url) {
  const char *scheme = strstr(url, "://");
  const char *host = scheme ? scheme + 3 : url;
  const char *at = memchr(host, '@', strcspn(host, "/"));
  return at ? at + 1 : url;
}

int cft_http(const char *method, const char *url, const char *body,
             char **out_body) {
  answer got = {NULL, 0, 0};
  CURL *easy = curl_easy_init();
  /* An empty Expect: no pause of a second before a large body. */
  struct curl_slist *type = curl_slist_append(NULL, "Expect:");
  struct curl_slist *headers =
      type ? curl_slist_append(type, "Content-Type: application/json") : NULL;
  CURLcode rc = CURLE_OUT_OF_MEMORY;
  long status = 0;
  if (out_body)
    *out_body = NULL;
  if (easy && headers && on_data(NULL, 0, 0, &got) == 0 && got.data)
    rc = perform(easy, method, url, body, headers, &got);
  if (rc == CURLE_OK)
    rc = curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (rc != CURLE_OK)
    (void)fprintf(stderr, "test support: %s %s: %s\n", method,
                  without_user(url), curl_easy_strerror(rc));
  if (rc == CURLE_OK && out_body)
    *out_body = got.data;
  else
    free(got.data);
  curl_slist_free_all(headers ? headers : type);
  curl_easy_cleanup(easy);
  return rc == CURLE_OK ? (int)status : -1;
}
