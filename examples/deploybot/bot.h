/* The bot's work, one canary after the other, on a thread of its own: canaries,
   what they make of an incident, mails, the state. */
#ifndef DEPLOYBOT_BOT_H
#define DEPLOYBOT_BOT_H

#include "common/text.h"
#include "deploybot/options.h"

typedef struct bot bot;

/* Reads and locks the state. NULL with a sentence. */
bot *bot_new(const options *o, metrics *m, halt *h, char *error, size_t size);
void bot_free(bot *b);
/* Until h is set. */
void bot_go_on(bot *b);
/* One canary, its mails tried once. */
enum canary_result bot_once(bot *b);
/* Of the last canary, what it found, for people. */
void bot_tell(const bot *b, text *out);
/* Why it should be looked after, or NULL. Any thread. */
const char *bot_trouble(const bot *b);

#endif
