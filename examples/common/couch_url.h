/* The database server's address out of a program's options --couch,
   --couch-user and --couch-password-file, and of COUCHDB_URL. */
#ifndef PLATFORM_COUCH_URL_H
#define PLATFORM_COUCH_URL_H

#include "common/config.h"

/* The options of every program that asks a database. */
#define COUCH_OPTIONS                                                          \
  {"couch",                                                                    \
   CONFIG_STRING,                                                              \
   NULL,                                                                       \
   0,                                                                          \
   0,                                                                          \
   "URL",                                                                      \
   "the database server; default: COUCHDB_URL, http://127.0.0.1:5984"},        \
      {"couch-user",                                                           \
       CONFIG_STRING,                                                          \
       NULL,                                                                   \
       0,                                                                      \
       0,                                                                      \
       "NAME",                                                                 \
       "who we are there, in place of the URL's user"},                        \
  {                                                                            \
    "couch-password-file", CONFIG_STRING, NULL, 0, 0, "FILE",                  \
        "the password, in a file that only its owner can read"                 \
  }

/* With user:password@ in it, so to be given to config_forget. NULL with a
   sentence. */
char *couch_url(const config *c, char *error, size_t size);

#endif
