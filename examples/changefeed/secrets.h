/*
 * Keeps secrets from the sight of other users: takes the arguments and the
 * password of the environment over and overwrites the originals, which ps and
 * /proc show. Also reads password files.
 */
#ifndef CLI_SECRETS_H
#define CLI_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

/* What the command works with instead of argv and the environment. */
typedef struct secrets {
  int argc;
  char **argv;    /* copies, NULL at the end */
  char *password; /* CHANGEFEED_PASSWORD, NULL: not set */
} secrets;

/* To be called before anything else. False: no memory. */
bool secrets_take(secrets *s, int argc, char **argv);
/* Overwrites and frees the copies. */
void secrets_free(secrets *s);

/* The first line of a file; to be freed by secret_free. NULL: why is a text to
   print behind the file's name. */
char *secret_read_file(const char *path, const char **why);
void secret_free(char *secret);

/* Where the user info of a URL lies ("user:password" before '@'), in a text
   that may be no URL at all. False: there is none. */
bool find_user_info(const char *url, size_t *start, size_t *len);

#endif
