/*
 * The changefeed command: prints the changes of a CouchDB database as they
 * happen, keeps mirrors, and compares databases. It uses the library through
 * its public interface alone.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "diff.h"
#include "follow.h"
#include "mirror.h"

static int print_version(void) {
  if (printf("changefeed %s\n%s\n", CHANGEFEED_VERSION,
             changefeed_version_string()) < 0 ||
      fflush(stdout) != 0) {
    complain("the version cannot be printed");
    return EXIT_FAILED;
  }
  return EXIT_OK;
}

static int say(const args *a) {
  if (a->version)
    return print_version();
  return help_print(a->command) ? EXIT_OK : EXIT_FAILED;
}

static int run(const args *a) {
  return a->command == COMMAND_MIRROR ? mirror(a)
         : a->command == COMMAND_DIFF ? diff(a)
                                      : follow(a);
}

/* Of mirror and diff, 1 means something else. */
static int own_status(const args *a, int status) {
  return status == EXIT_FAILED && a->command != COMMAND_FOLLOW ? EXIT_TROUBLE
                                                               : status;
}

int main(int argc, char **argv) {
  secrets s;
  args a;
  int status = EXIT_FAILED;

  memset(&a, 0, sizeof a);
  if (secrets_take(&s, argc, argv))
    status = args_read(&a, &s);
  else
    complain("there is no memory");
  secrets_free(&s);
  if (status != EXIT_OK)
    status = own_status(&a, status);
  else if (a.help || a.version)
    status = own_status(&a, say(&a));
  else
    status = run(&a);
  args_free(&a);
  return status;
}
