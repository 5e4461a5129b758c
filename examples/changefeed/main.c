/*
 * The changefeed command: prints the changes of a CouchDB database as they
 * happen. It uses the library through its public interface alone.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "follow.h"

static int print_version(void) {
  if (printf("changefeed %s\n%s\n", CHANGEFEED_VERSION,
             changefeed_version_string()) < 0 ||
      fflush(stdout) != 0) {
    complain("the version cannot be printed");
    return EXIT_FAILED;
  }
  return EXIT_OK;
}

static int run(const args *a) {
  if (a->help)
    return help_print() ? EXIT_OK : EXIT_FAILED;
  if (a->version)
    return print_version();
  return follow(a);
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
  if (status == EXIT_OK)
    status = run(&a);
  args_free(&a);
  return status;
}
