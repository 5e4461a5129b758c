/*
 * What the fragments of C in the documents and man pages may take as given;
 * test_docs_code.sh compiles each of them behind this. Nothing of it is linked.
 */
#ifndef TESTS_CLI_DOCS_PRELUDE_H
#define TESTS_CLI_DOCS_PRELUDE_H

#include <changefeed/changefeed.h>
#include <changefeed/mirror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern changefeed_options *options;
extern changefeed_loop *loop;
extern changefeed *feed;
extern changefeed_mirror *mirror;
extern const changefeed_view *view;
extern int result;

/* The application's own. */
extern struct things { int any; } my_things;
int handle_row(changefeed *feed, const changefeed_change *change, void *user);
void show_state(changefeed *feed, const changefeed_event *event, void *user);

#endif
