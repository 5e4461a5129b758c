/*
 * The program drone, from its words to its end.
 */
#ifndef DRONE_RUN_H
#define DRONE_RUN_H

int drone_run(int argc, char **argv);

#endif
