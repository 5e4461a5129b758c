/*
 * What can be known about the way to the server before a feed is opened: files
 * that must be readable, and what this libcurl must be able to do.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "str.h"
#include "transfer.h"

static int check_file(const char *option, const char *path, cfi_error *error) {
  char why[128];

  if (path == NULL || access(path, R_OK) == 0)
    return CHANGEFEED_OK;
  /* POSIX's strerror_r, which all C libraries have; GNU's is another. */
  if (strerror_r(errno, why, sizeof why) != 0)
    why[0] = '\0';
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                       "%s: %s cannot be read: %s", option, path,
                       why[0] != '\0' ? why : "for a reason without a name");
}

/* libcurl would find these faults in each attempt, and quote the value. */
static int check_proxy(const char *proxy, cfi_error *error) {
  static const char *const schemes[] = {"http://",   "https://",   "socks://",
                                        "socks4://", "socks4a://", "socks5://",
                                        "socks5h://"};
  bool known = strstr(proxy, "://") == NULL;
  CURLU *handle = curl_url();
  CURLUcode code;

  if (handle == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  code = curl_url_set(handle, CURLUPART_URL, proxy,
                      CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
  curl_url_cleanup(handle);
  if (code == CURLUE_OUT_OF_MEMORY)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
    known = known || cfi_str_starts_nocase(proxy, schemes[i]);
  if (code == CURLUE_OK && known)
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                       "proxy: the value cannot be read (%s); write it like "
                       "http://host:3128",
                       code != CURLUE_OK ? curl_url_strerror(code)
                                         : "the scheme is not http, https, "
                                           "socks4, socks4a, socks5, socks5h");
}

int cfi_transfer_check(const cfi_settings *s, cfi_error *error) {
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  int rc = check_file("ca_file", s->ca_file, error);

  if (rc == CHANGEFEED_OK)
    rc = check_file("client_cert", s->client_cert, error);
  if (rc == CHANGEFEED_OK)
    rc = check_file("client_key", s->client_key, error);
  if (rc == CHANGEFEED_OK && s->proxy != NULL && s->proxy[0] != '\0' &&
      strcmp(s->proxy, "-") != 0)
    rc = check_proxy(s->proxy, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (curl->version_num < 0x075500)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "libcurl %s is too old: 7.85.0 or later is needed",
                         curl->version);
  if (s->unix_socket != NULL &&
      (curl->features & CURL_VERSION_UNIX_SOCKETS) == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "unix_socket: this libcurl has no unix sockets");
  if (s->http_version == CFI_HTTP_2 &&
      (curl->features & CURL_VERSION_HTTP2) == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "http_version: this libcurl has no HTTP/2");
  return CHANGEFEED_OK;
}
