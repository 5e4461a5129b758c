/* See couch_url.h. */
#include "common/couch_url.h"

#include "common/rest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *with_password(const char *url, const char *user,
                           const char *password) {
  const char *scheme = strstr(url, "://");
  const char *rest_of = scheme != NULL ? scheme + 3 : url;
  size_t authority = strcspn(rest_of, "/?#");
  const char *at = memrchr(rest_of, '@', authority);
  char name[512] = "", secret[1024] = "";
  text out = TEXT_INIT;

  if (user == NULL && password == NULL)
    return strdup(url);
  if (user != NULL) {
    if (!rest_escape(user, name, sizeof name))
      return NULL;
  } else if (at != NULL) {
    size_t len = strcspn(rest_of, ":@");

    (void)snprintf(name, sizeof name, "%.*s", (int)len, rest_of);
  }
  if (password != NULL && !rest_escape(password, secret, sizeof secret))
    return NULL;
  text_add(&out, url, (size_t)(rest_of - url));
  text_printf(&out, "%s%s%s@%s", name, password != NULL ? ":" : "", secret,
              at != NULL ? at + 1 : rest_of);
  memset(secret, 0, sizeof secret);
  if (!out.failed)
    return out.data;
  text_free(&out);
  return NULL;
}

char *couch_url(const config *c, char *error, size_t size) {
  const char *url = config_string(c, "couch");
  const char *file = config_string(c, "couch-password-file");
  char *password = NULL, *made, why[256];

  if (url == NULL)
    url = getenv("COUCHDB_URL");
  if (url == NULL || *url == '\0')
    url = "http://127.0.0.1:5984";
  if (file != NULL) {
    password = config_secret(file, why, sizeof why);
    if (password == NULL) {
      (void)snprintf(error, size, "--couch-password-file: %s", why);
      return NULL;
    }
  }
  made = with_password(url, config_string(c, "couch-user"), password);
  config_forget(password);
  if (made == NULL)
    (void)snprintf(error, size,
                   "--couch, the user or the password is too long");
  return made;
}
