/*
 * drone: one app at a time, behind a guard. All of it is in drone_run.c; here
 * is only the program.
 */
#include "drone/drone_run.h"

int main(int argc, char **argv) { return drone_run(argc, argv); }
