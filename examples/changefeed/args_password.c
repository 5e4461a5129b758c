/*
 * Where a password comes from.
 */
#include <string.h>

#include "args_int.h"

void remember_identity(identity *who, const char *option, const char *value) {
  if (strcmp(option, "username") == 0)
    who->username = value[0] != '\0';
  else if (strcmp(option, "password") == 0)
    who->password = true;
  else if (strcmp(option, "bearer_token") == 0)
    who->bearer_token = value[0] != '\0';
}

/* Does the URL name a user without a password? */
static bool asks_for_password(const char *url) {
  size_t start, len;

  return url != NULL && find_user_info(url, &start, &len) &&
         memchr(url + start, ':', len) == NULL;
}

static int set_password(const args *a, changefeed_options *options,
                        const char *password) {
  return changefeed_options_set(options, "password", password) == CHANGEFEED_OK
             ? EXIT_OK
             : refuse_option(a, options);
}

static int read_file(const args *a, changefeed_options *options,
                     const char *path, const char *side) {
  const char *why = NULL;
  char *password = secret_read_file(path, &why);
  int rc;

  if (password == NULL) {
    complain("--%spassword-file: %s: %s", side, path, why);
    return EXIT_USAGE;
  }
  rc = set_password(a, options, password);
  secret_free(password);
  return rc;
}

int find_password(const args *a, changefeed_options *options,
                  const identity *who, const char *url, const char *side,
                  const secrets *s) {
  if (who->password_file != NULL && who->password) {
    complain("--password and --%spassword-file exclude each other", side);
    return usage(a);
  }
  if (who->password_file != NULL)
    return read_file(a, options, who->password_file, side);
  if (s->password == NULL || s->password[0] == '\0' || who->password ||
      who->bearer_token || !(who->username || asks_for_password(url)))
    return EXIT_OK;
  return set_password(a, options, s->password);
}
