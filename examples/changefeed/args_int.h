/*
 * Between the files that read the arguments. Each function answers EXIT_OK, or
 * an exit status after a message on standard error.
 */
#ifndef CLI_ARGS_INT_H
#define CLI_ARGS_INT_H

#include "args.h"

/* The second line of a message about wrong usage. */
int usage(const args *a);
/* What the library says of the options. */
int refuse_option(const args *a, const changefeed_options *options);
int no_memory(const args *a);
/* Has memory run out? Then EXIT_FAILED, or what stands for it. */
int keep_text(const args *a, char **to, const char *text);

/* args_own.c: a flag of the command's own. */
int set_own(args *a, const flag *f);

/* args_password.c */
void remember_identity(identity *who, const char *option, const char *value);
/* --password, then --password-file, then the environment; the last only where
   a user is named whose password is not. side: "" or "a-" or "b-". */
int find_password(const args *a, changefeed_options *options,
                  const identity *who, const char *url, const char *side,
                  const secrets *s);

/* args_sides.c: diff's operands, when all flags were read. */
int complete_sides(args *a, const secrets *s);

#endif
