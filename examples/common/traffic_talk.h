/* A websocket's conversation, the visitor's side: the app's page comes first,
   then some messages are sent, each of which has to come back, and both say
   that they close. Pure: bytes in, bytes out. */
#ifndef PLATFORM_TRAFFIC_TALK_H
#define PLATFORM_TRAFFIC_TALK_H

#include "common/traffic_answer.h"
#include "common/traffic_choice.h"
#include "common/websocket.h"

enum { TRAFFIC_MESSAGE_MOST = 1024 };

typedef struct traffic_talk {
  bool has_page, closing;
  unsigned left; /* messages to be sent */
  text in;       /* a frame that is not whole */
  char message[TRAFFIC_MESSAGE_MOST];
  size_t message_len;
} traffic_talk;

void traffic_talk_begin(traffic_talk *k, traffic_dice *d);
/* Takes all of data; what is to be sent is added to out. The page goes to a,
   and what is wrong with it or with an echo. TRAFFIC_WHOLE: the other side has
   closed, as it was asked to. */
enum traffic_state traffic_talk_take(traffic_talk *k, traffic_answer *a,
                                     const char *data, size_t len, text *out,
                                     traffic_dice *d, const char **why);
/* The connection has ended: what there is of the page goes to a. */
void traffic_talk_end(traffic_talk *k, traffic_answer *a);

#endif
