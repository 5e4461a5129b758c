/*
 * The wire's limit as a client of a benchmark: libcurl driven as the library
 * drives it (multi_socket, epoll, the same receive buffer), with a callback
 * that counts bytes and does nothing else.
 *
 *   client_curl --url URL [--bytes N] [--buffer BYTES]
 *
 * Ends with the response, or behind byte N of it.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>

#include "client.h"

typedef struct loop {
  CURLM *multi;
  int epoll;
  long timeout_ms;
  uint64_t bytes, stop_at, calls;
} loop;

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  loop *l = user;

  (void)data;
  l->bytes += size * count;
  l->calls++;
  return size * count;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user) {
  (void)multi;
  ((loop *)user)->timeout_ms = timeout_ms;
  return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                     void *known) {
  loop *l = user;
  struct epoll_event e = {.data.fd = fd};

  (void)easy;
  if (what == CURL_POLL_REMOVE)
    return epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL) * 0;
  e.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) |
             ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
  if (epoll_ctl(l->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                &e) != 0)
    return -1;
  return curl_multi_assign(l->multi, fd, l) == CURLM_OK ? 0 : -1;
}

static int run(loop *l) {
  int running = 1;

  while (running != 0 && (l->stop_at == 0 || l->bytes < l->stop_at)) {
    struct epoll_event events[16];
    int count = epoll_wait(l->epoll, events, 16, (int)l->timeout_ms);

    if (count == 0 && curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0,
                                               &running) != CURLM_OK)
      return 1;
    for (int i = 0; i < count; i++)
      if (curl_multi_socket_action(
              l->multi, events[i].data.fd,
              ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                  ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0),
              &running) != CURLM_OK)
        return 1;
  }
  return 0;
}

static bool set_up(loop *l, CURL *easy, const char *url, long buffer) {
  return curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket) ==
             CURLM_OK &&
         curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l) == CURLM_OK &&
         curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer) ==
             CURLM_OK &&
         curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l) == CURLM_OK &&
         curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, l) == CURLE_OK &&
         curl_multi_add_handle(l->multi, easy) == CURLM_OK;
}

/* Did the transfer that has ended end well? */
static bool went_well(loop *l) {
  int left;
  CURLMsg *message = curl_multi_info_read(l->multi, &left);

  if (message == NULL)
    return l->stop_at != 0 && l->bytes >= l->stop_at;
  if (message->data.result != CURLE_OK)
    (void)fprintf(stderr, "client_curl: %s\n",
                  curl_easy_strerror(message->data.result));
  return message->data.result == CURLE_OK;
}

int main(int argc, char **argv) {
  loop l = {.timeout_ms = 0};
  const char *url = NULL;
  long buffer = 512L * 1024;
  int64_t start = bench_now_ns();
  bool good;

  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--url") == 0)
      url = argv[i + 1];
    else if (strcmp(argv[i], "--bytes") == 0)
      l.stop_at = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--buffer") == 0)
      buffer = strtol(argv[i + 1], NULL, 10);
  }
  if (url == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return 2;
  CURL *easy = curl_easy_init();
  l.multi = curl_multi_init();
  l.epoll = epoll_create1(EPOLL_CLOEXEC);
  good = easy != NULL && l.multi != NULL && l.epoll >= 0 &&
         set_up(&l, easy, url, buffer) && run(&l) == 0 && went_well(&l);
  if (good)
    bench_tell(0, l.bytes, bench_now_ns() - start);
  if (easy != NULL && l.multi != NULL)
    (void)curl_multi_remove_handle(l.multi, easy);
  curl_easy_cleanup(easy);
  (void)curl_multi_cleanup(l.multi);
  (void)close(l.epoll);
  curl_global_cleanup();
  return good ? 0 : 1;
}
