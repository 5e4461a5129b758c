/* Options that belong together; see options_int.h. */
#include "deploybot/options_int.h"

#include "common/couch_url.h"
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool wrong(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool wrong(char *error, size_t size, const char *format, ...) {
  va_list args;

  va_start(args, format);
  /* The analyzer does not see va_start here, though it does elsewhere.
     NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
  (void)vsnprintf(error, size, format, args);
  va_end(args);
  return false;
}

static const char *option(const options *o, const char *name) {
  return config_string(o->config, name);
}

/* ---- names ---- */

/* The machine's, as far as it can be an app's. */
static void machine_id(char id[NAME_MOST + 1]) {
  char name[HOST_NAME_MAX + 1] = "";
  size_t len = 0;

  if (gethostname(name, sizeof name - 1) != 0)
    name[0] = '\0';
  for (const char *s = name; *s != '\0' && *s != '.' && len < 40; s++) {
    char c = (char)tolower((unsigned char)*s);

    if ((c >= 'a' && c <= 'z') || (len != 0 && c >= '0' && c <= '9') ||
        (len != 0 && c == '-'))
      id[len++] = c;
  }
  while (len != 0 && id[len - 1] == '-')
    len--;
  id[len] = '\0';
  if (len == 0)
    (void)snprintf(id, NAME_MOST + 1, "bot");
}

static bool take_names(options *o, char *error, size_t size) {
  static const char rule[] = "it consists of a-z, 0-9 and -, begins with a "
                             "letter, does not end in -, and has at most";
  const char *id = option(o, "id"), *app = option(o, "app"),
             *host = option(o, "host");

  if (id == NULL)
    machine_id(o->id);
  else if (id_is_app(id, strlen(id)) && strlen(id) <= 50)
    (void)snprintf(o->id, sizeof o->id, "%s", id);
  else
    return wrong(error, size, "--id %.60s: %s 50", id, rule);
  if (app == NULL)
    (void)snprintf(o->app, sizeof o->app, "canary-%.50s", o->id);
  else if (id_is_app(app, strlen(app)))
    (void)snprintf(o->app, sizeof o->app, "%s", app);
  else
    return wrong(error, size, "--app %.70s: %s 63", app, rule);
  if (host != NULL && !id_is_host(host, strlen(host)))
    return wrong(error, size, "--host %.80s is no host name", host);
  return true;
}

static bool take_balancers(options *o, char *error, size_t size) {
  canary_config *c = &o->canary;

  c->balancer_count = config_list(o->config, "balancer", &c->balancers);
  for (size_t i = 0; i < c->balancer_count; i++)
    if (!id_is_addr(c->balancers[i], strlen(c->balancers[i])))
      return wrong(error, size, "--balancer %.80s: it is ADDRESS:PORT",
                   c->balancers[i]);
  return true;
}

/* In quotes: /bin/sh reads it. */
static bool take_command(options *o, char *error, size_t size) {
  char path[PATH_MAX];
  ssize_t len;
  text command = TEXT_INIT;

  o->canary.command = option(o, "command");
  if (o->canary.command != NULL)
    return true;
  len = readlink("/proc/self/exe", path, sizeof path);
  if (len <= 0 || (size_t)len >= sizeof path)
    return wrong(error, size,
                 "where this program lies is not known; give --command");
  text_str(&command, "exec '");
  for (ssize_t i = 0; i < len; i++)
    text_add(&command, path[i] == '\'' ? "'\\''" : path + i,
             path[i] == '\'' ? 4 : 1);
  text_str(&command, "' serve");
  o->serve = command.failed ? NULL : command.data;
  o->canary.command = o->serve;
  return o->serve != NULL || wrong(error, size, "there is no memory");
}

static bool take_canary(options *o, char *error, size_t size) {
  canary_config *c = &o->canary;
  const char *file = option(o, "token-file");

  c->couch = o->couch;
  c->apps = option(o, "apps");
  c->server = option(o, "server");
  c->ca_file = option(o, "ca-file");
  c->host = option(o, "host");
  c->id = o->id;
  c->app = o->app;
  c->run_ms = config_number(o->config, "run-time");
  c->settle_ms = config_number(o->config, "settle");
  if (!take_names(o, error, size) || !take_balancers(o, error, size) ||
      !take_command(o, error, size))
    return false;
  if (file == NULL)
    return wrong(error, size, "--token-file is needed");
  o->token = config_secret(file, error, size);
  c->token = o->token;
  return o->token != NULL;
}

/* ---- mails ---- */

static bool take_tls(options *o, char *error, size_t size) {
  static const char *const names[] = {"try", "need", "never"};
  const char *word = option(o, "smtp-tls");

  for (int i = POST_TLS_TRY; i <= POST_TLS_NEVER; i++)
    if (strcmp(word, names[i]) == 0) {
      o->post.tls = (enum post_tls)i;
      return o->post.tls != POST_TLS_NEVER || option(o, "smtp-user") == NULL ||
             wrong(error, size,
                   "--smtp-user needs TLS, which --smtp-tls never forbids");
    }
  return wrong(error, size, "--smtp-tls is try, need or never");
}

static bool is_mail_url(const char *url) {
  const char *host = strncmp(url, "smtp://", 7) == 0    ? url + 7
                     : strncmp(url, "smtps://", 8) == 0 ? url + 8
                                                        : NULL;

  /* A password in it would be an argument. */
  return host != NULL && *host != '\0' && strchr(host, '@') == NULL &&
         strcspn(host, " \t\r\n?#") == strlen(host);
}

static bool take_password(options *o, char *error, size_t size) {
  const char *file = option(o, "smtp-password-file");

  o->post.user = option(o, "smtp-user");
  if ((file == NULL) != (o->post.user == NULL))
    return wrong(error, size,
                 "--smtp-user and --smtp-password-file go together");
  if (file == NULL)
    return true;
  o->password = config_secret(file, error, size);
  o->post.password = o->password;
  return o->password != NULL;
}

static bool take_addresses(options *o, char *error, size_t size) {
  post_config *p = &o->post;

  p->from = option(o, "mail-from");
  p->to_count = config_list(o->config, "mail-to", &p->to);
  if (!mail_is_address(p->from))
    return wrong(error, size, "--mail-from %.80s is no NAME@HOST", p->from);
  if (p->to_count > RECEIVERS_MOST)
    return wrong(error, size, "--mail-to: there are more than 16");
  for (size_t i = 0; i < p->to_count; i++)
    if (!mail_is_address(p->to[i]))
      return wrong(error, size, "--mail-to %.80s is no NAME@HOST", p->to[i]);
  return true;
}

static bool take_post(options *o, char *error, size_t size) {
  post_config *p = &o->post;
  const char *file = option(o, "lines");

  p->smtp = option(o, "smtp");
  p->mailbox = option(o, "mailbox");
  p->ca_file = option(o, "smtp-ca-file");
  p->again_ms = config_number(o->config, "mail-again");
  if (p->smtp != NULL && p->mailbox != NULL)
    return wrong(error, size, "--smtp and --mailbox do not go together");
  if (p->smtp != NULL && !is_mail_url(p->smtp))
    return wrong(error, size,
                 "--smtp is smtp://HOST:PORT or smtps://HOST:PORT, without a "
                 "user");
  if (p->mailbox != NULL && access(p->mailbox, W_OK | X_OK) != 0)
    return wrong(error, size,
                 "--mailbox %.200s is no directory that can be written to",
                 p->mailbox);
  if (!take_tls(o, error, size) || !take_password(o, error, size) ||
      !take_addresses(o, error, size))
    return false;
  if (p->smtp != NULL && p->to_count == 0)
    return wrong(error, size, "--smtp needs --mail-to");
  if (file == NULL || config_flag(o->config, "polite"))
    return true;
  o->lines = lines_read(file, error, size);
  return o->lines != NULL;
}

bool options_check(options *o, char *error, size_t size) {
  bool to = option(o, "smtp") != NULL || option(o, "mailbox") != NULL;

  o->rules = (incident_rules){config_number(o->config, "alert-after"),
                              config_number(o->config, "repeat-first"),
                              config_number(o->config, "repeat")};
  if (o->command != COMMAND_ONCE && option(o, "state") == NULL)
    return wrong(error, size, "--state is needed");
  if (o->command == COMMAND_RUN && !to)
    return wrong(error, size, "--smtp or --mailbox is needed");
  if (o->command == COMMAND_ONCE && to && option(o, "state") == NULL)
    return wrong(error, size, "mails of once need --state");
  o->couch = couch_url(o->config, error, size);
  if (o->couch == NULL)
    return false;
  return o->command == COMMAND_GATE ||
         (take_canary(o, error, size) && take_post(o, error, size));
}
