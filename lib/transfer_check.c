/*
 * What can be known about the way to the server before a feed is opened: files
 * that must be readable, and what this libcurl must be able to do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "transfer.h"

static int check_file(const char *option, const char *path, cfi_error *error) {
  char why[128];

  if (path == NULL || access(path, R_OK) == 0)
    return CHANGEFEED_OK;
  /* GNU's strerror_r: safe in threads, never NULL. */
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                       "%s: %s cannot be read: %s", option, path,
                       strerror_r(errno, why, sizeof why));
}

int cfi_transfer_check(const cfi_settings *s, cfi_error *error) {
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  int rc = check_file("ca_file", s->ca_file, error);

  if (rc == CHANGEFEED_OK)
    rc = check_file("client_cert", s->client_cert, error);
  if (rc == CHANGEFEED_OK)
    rc = check_file("client_key", s->client_key, error);
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
