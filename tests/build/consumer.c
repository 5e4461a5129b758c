/*
 * A stranger's program: built against the installed package by
 * test_install.sh. Prints the version and makes and frees an object.
 */
#include <changefeed/changefeed.h>
#include <stdio.h>

int main(void) {
  changefeed_options *options = NULL;

  if (changefeed_version_num() != CHANGEFEED_VERSION_NUM) {
    (void)fprintf(stderr, "library %#x, headers %#x\n",
                  changefeed_version_num(), (unsigned)CHANGEFEED_VERSION_NUM);
    return 1;
  }
  if (changefeed_options_new(&options) != CHANGEFEED_OK)
    return 1;
  if (changefeed_options_set(options, "url", "http://127.0.0.1:5984/db") !=
      CHANGEFEED_OK) {
    (void)fprintf(stderr, "%s\n", changefeed_options_error(options));
    changefeed_options_free(options);
    return 1;
  }
  changefeed_options_free(options);
  return printf("%s %s\n", CHANGEFEED_VERSION, changefeed_version_string()) < 0;
}
