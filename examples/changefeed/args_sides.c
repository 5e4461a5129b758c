/*
 * The two sides of a comparison: a URL has options of its own, those that both
 * have and then those for it alone; anything else is a file.
 */
#include <string.h>

#include "args_int.h"

typedef struct reading {
  const args *args;
  const secrets *secrets;
  changefeed_options *options;
  identity who;
  own_flag option, password_file; /* the flags for this side */
  const char *prefix;
} reading;

static int set_option(reading *r, const char *text) {
  const changefeed_option_info *option = NULL;
  const char *value = flag_split(text, &option);
  int rc;

  if (value == NULL) {
    complain("--%soption needs NAME=VALUE", r->prefix);
    return usage(r->args);
  }
  if (option == NULL || !flag_is_of_use(COMMAND_DIFF, option)) {
    complain("--%soption: %.*s is no option of a side", r->prefix,
             (int)(value - 1 - text), text);
    return usage(r->args);
  }
  rc = option->kind == CHANGEFEED_OPTION_LIST
           ? changefeed_options_add(r->options, option->name, value)
           : changefeed_options_set(r->options, option->name, value);
  if (rc != CHANGEFEED_OK)
    return refuse_option(r->args, r->options);
  remember_identity(&r->who, option->name, value);
  return EXIT_OK;
}

static int take_flag(reading *r, const flag *f) {
  if (f->own == NULL ||
      (f->own->id != r->option && f->own->id != r->password_file))
    return EXIT_OK;
  if (r->options == NULL) {
    complain("--%s: that side is no URL, but a file", f->own->name);
    return usage(r->args);
  }
  if (f->own->id == r->option)
    return set_option(r, f->value);
  r->who.password_file = f->value;
  r->who.password = false;
  return EXIT_OK;
}

/* Only the flags for this side; all of them were found to be right before. */
static int take_flags(reading *r) {
  int rc = EXIT_OK;
  flag f;

  for (int i = 2; i < r->secrets->argc && rc == EXIT_OK; i += f.used) {
    flag_read(COMMAND_DIFF, r->secrets->argv, i, &f);
    if (f.ends_flags)
      break;
    if (!f.is_flag)
      f.used = 1;
    else
      rc = take_flag(r, &f);
  }
  return rc;
}

static int complete_side(args *a, int which, const secrets *s) {
  side_args *side = &a->mirror.sides[which];
  reading r = {.args = a, .secrets = s, .who = a->me};
  int rc;

  r.option = which == 0 ? OWN_A_OPTION : OWN_B_OPTION;
  r.password_file = which == 0 ? OWN_A_PASSWORD_FILE : OWN_B_PASSWORD_FILE;
  r.prefix = which == 0 ? "a-" : "b-";
  if (strstr(side->name, "://") == NULL)
    return take_flags(&r);
  if (changefeed_options_copy(&side->options, a->options) != CHANGEFEED_OK)
    return no_memory(a);
  r.options = side->options;
  if (changefeed_options_set(r.options, "url", side->name) != CHANGEFEED_OK)
    return refuse_option(a, r.options);
  rc = take_flags(&r);
  if (rc != EXIT_OK)
    return rc;
  return find_password(
      a, r.options, &r.who, side->name,
      r.who.password_file != a->me.password_file ? r.prefix : "", s);
}

int complete_sides(args *a, const secrets *s) {
  int rc = EXIT_OK;

  if (a->mirror.operands != 2) {
    complain("two sides are needed, each a URL or a snapshot file");
    return usage(a);
  }
  for (int i = 0; i < 2 && rc == EXIT_OK; i++)
    rc = complete_side(a, i, s);
  return rc;
}
