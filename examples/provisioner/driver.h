/* Where drones come from. A driver belongs to the scaler's thread, but for
   driver_destroy, which any thread may call. */
#ifndef PROVISIONER_DRIVER_H
#define PROVISIONER_DRIVER_H

#include "common/documents.h"

typedef struct driver driver;

typedef struct driver_config {
  const char *kind; /* "local", "exec", "none" */
  const char *path; /* of local: NULL is the drone beside this program */
  const char *dir, *token_file;
  const char
      *user; /* local, for root: who drones become; "root": nobody else */
} driver_config;

enum driver_boot { DRIVER_BOOTING, DRIVER_BOOTED, DRIVER_FAILED };

/* One that is being made. */
typedef struct boot {
  struct boot *next;
  int64_t began_ms;
  int pid;
  int output;      /* exec: what the script says; -1 */
  char place[256]; /* local: its directory */
  char said[256];  /* exec: so far */
  size_t said_len;
  char addr[ADDR_MOST + 1], ctl[ADDR_MOST + 1]; /* once it is booted */
} boot;

/* NULL with a sentence. */
driver *driver_open(const driver_config *config, char *error, size_t size);
void driver_close(driver *d); /* the drones stay */
bool driver_makes(const driver *d);
bool driver_begin(driver *d, boot *b, char *why, size_t size);
/* Whether it is there by now; does not wait. After FAILED nothing is left. */
enum driver_boot driver_look(driver *d, boot *b, char *why, size_t size);
/* Waits for it, for some seconds (exec: a minute). True: it is gone, or was. */
bool driver_destroy(driver *d, const char *addr, const char *ctl, char *why,
                    size_t size);
/* Those that are there as far as the driver knows. False: it could not say. */
bool driver_list(driver *d,
                 void (*each)(void *ctx, const char *addr, const char *ctl),
                 void *ctx, char *why, size_t size);

/* ---- between driver*.c ---- */

struct driver {
  char kind; /* 'l', 'e', 'n' */
  char *path, *dir, *token_file, *user;
};

bool local_open(driver *d, char *error, size_t size);
bool local_begin(driver *d, boot *b, char *why, size_t size);
enum driver_boot local_look(boot *b, char *why, size_t size);
bool local_destroy(driver *d, const char *addr, char *why, size_t size);
bool local_list(driver *d,
                void (*each)(void *ctx, const char *addr, const char *ctl),
                void *ctx, char *why, size_t size);
bool exec_begin(driver *d, boot *b, char *why, size_t size);
enum driver_boot exec_look(boot *b, char *why, size_t size);
bool exec_destroy(driver *d, const char *addr, const char *ctl, char *why,
                  size_t size);
bool exec_list(driver *d,
               void (*each)(void *ctx, const char *addr, const char *ctl),
               void *ctx, char *why, size_t size);
/* A program as a process of its own session, with nothing of ours but its
   arguments and where it writes; environment: PATH, HOME, LANG, TZ. -1: why. */
int driver_spawn(const char *const *argv, int out, int err, char *why,
                 size_t size);
/* "ADDR CTL", a newline or not; false: neither. */
bool driver_line(const char *line, size_t len, char addr[ADDR_MOST + 1],
                 char ctl[ADDR_MOST + 1]);

#endif
