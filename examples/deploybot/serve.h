/* The canary's app: see deploybot(1), serve. */
#ifndef DEPLOYBOT_SERVE_H
#define DEPLOYBOT_SERVE_H

/* Answers on $PORT of this machine until it is killed; the exit status when it
   cannot. */
int serve(void);

#endif
