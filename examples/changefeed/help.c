/*
 * --help, made from the command's flags and the library's option table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "flags.h"
#include "text.h"

enum { WIDTH = 80, INDENT = 8 };

/* A paragraph, its lines broken at spaces. */
static void put_wrapped(textbuf *t, const char *words) {
  size_t column = 0;

  while (*words != '\0') {
    size_t len = strcspn(words, " ");

    if (column == 0 || column + 1 + len > WIDTH) {
      text_printf(t, "%s%*s", column == 0 ? "" : "\n", INDENT, "");
      column = INDENT;
    } else {
      text_putc(t, ' ');
      column++;
    }
    text_put(t, words, len);
    column += len;
    words += len;
    while (*words == ' ')
      words++;
  }
  text_putc(t, '\n');
}

static void put_flag(textbuf *t, const flag_info *own) {
  text_printf(t, "  --%s%s%s\n", own->name, own->value != NULL ? "=" : "",
              own->value != NULL ? own->value : "");
  put_wrapped(t, own->summary);
}

static void put_option_head(textbuf *t, const changefeed_option_info *info) {
  text_printf(t, "  --%s", info->name);
  switch (info->kind) {
  case CHANGEFEED_OPTION_INT:
    text_puts(t, "=NUMBER\n");
    break;
  case CHANGEFEED_OPTION_SWITCH:
    text_puts(t, "[=0|1]\n");
    break;
  case CHANGEFEED_OPTION_ENUM:
    text_printf(t, "=%s\n", info->values);
    break;
  case CHANGEFEED_OPTION_JSON:
    text_puts(t, "=JSON\n");
    break;
  default:
    text_puts(t, "=TEXT\n");
    break;
  }
}

static void put_option(textbuf *t, const changefeed_option_info *info) {
  textbuf words = {0};
  const char *space = info->unit[0] != '\0' ? " " : "";

  put_option_head(t, info);
  text_puts(&words, info->summary);
  if (info->kind == CHANGEFEED_OPTION_INT)
    text_printf(&words, " [%s%lld..%lld%s%s; default: %s]",
                info->zero != 0 ? "0 or " : "", (long long)info->min,
                (long long)info->max, space, info->unit, info->defaults);
  else if (info->defaults[0] != '\0')
    text_printf(&words, " [default: %s]", info->defaults);
  text_putc(&words, '\0');
  if (text_ok(&words))
    put_wrapped(t, words.data);
  else
    t->failed = true;
  text_free(&words);
}

static const char *usage_of(command c) {
  switch (c) {
  case COMMAND_MIRROR:
    return "Usage: changefeed mirror [OPTION]... URL\n"
           "Hold what a CouchDB database holds: print it or its digest, prove "
           "it, save it.\n";
  case COMMAND_DIFF:
    return "Usage: changefeed diff [OPTION]... URL|FILE URL|FILE\n"
           "Compare two CouchDB databases, or snapshots of \"changefeed "
           "mirror\": what is only\nin the first (<), only in the second (>), "
           "or in another revision (!).\n";
  default:
    return "Usage: changefeed [OPTION]... URL\n"
           "       changefeed mirror [OPTION]... URL\n"
           "       changefeed diff [OPTION]... URL|FILE URL|FILE\n"
           "Print the changes of a CouchDB database as they happen, a line "
           "each. For mirror\nand diff see \"changefeed mirror --help\" and "
           "\"changefeed diff --help\".\n";
  }
}

static const char *statuses_of(command c) {
  switch (c) {
  case COMMAND_MIRROR:
    return "Exit status: 0 done; 1 the audit found differences; 2 wrong "
           "usage; 3 trouble;\n4 what differs went on changing.\n";
  case COMMAND_DIFF:
    return "Exit status: 0 equal; 1 something differs; 2 wrong usage; 3 "
           "trouble; 4 what\ndiffers went on changing.\n";
  default:
    return "Exit status: 0 ended by --once, --limit, a "
           "signal or a closed pipe; 1 the feed\nfailed; 2 wrong usage.\n";
  }
}

static void put_all(textbuf *t, command c) {
  const changefeed_option_info *info = NULL;

  text_printf(t, "%s\nFlags of the command:\n", usage_of(c));
  for (const flag_info *own = own_flags; own->name != NULL; own++)
    if ((own->commands & (unsigned)c) != 0)
      put_flag(t, own);
  text_puts(t, "\nOptions of the library (--name=value or --name value; - and "
               "_ are the same; a\nswitch may stand alone, and --no-name "
               "turns it off):\n");
  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    if (flag_is_of_use(c, info))
      put_option(t, info);
  text_printf(t,
              "\nEnvironment: CHANGEFEED_PASSWORD is the password of a user "
              "who has none.\n%s",
              statuses_of(c));
}

bool help_print(command c) {
  textbuf t = {0};
  bool ok;

  put_all(&t, c);
  ok = text_ok(&t) && fwrite(t.data, 1, t.len, stdout) == t.len &&
       fflush(stdout) == 0;
  if (!ok)
    complain("the help cannot be printed: %s",
             strerror(text_ok(&t) ? errno : ENOMEM));
  text_free(&t);
  return ok;
}
