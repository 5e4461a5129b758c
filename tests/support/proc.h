/* A child process under test: started with pipes, read line by line with a
   time limit, signalled, waited for, and killed (with all that it started)
   when the test lets go of it. Also what /proc tells about a process. One
   thread uses a cft_proc at a time. */
#ifndef CFT_PROC_H
#define CFT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct cft_proc cft_proc;

enum cft_stream { CFT_STDOUT = 0, CFT_STDERR = 1 };

/* Starts argv[0] (looked up in PATH) in a process group of its own, standard
   input from /dev/null. `env` (or NULL) is a NULL-ended list of "NAME=value" to
   set and "NAME" to remove on top of the environment of the test. NULL, with
   errno set, when the program could not be run. */
cft_proc *cft_proc_start(const char *const argv[], const char *const env[]);

pid_t cft_proc_pid(const cft_proc *proc);

/* The next line of the stream without its line break, NULL when timeout_ms is
   over or the stream has ended. The text is valid until the next call. A last
   line without line break is given at the end of the stream. */
const char *cft_proc_line(cft_proc *proc, enum cft_stream stream,
                          int64_t timeout_ms);

/* Reads lines until one holds `text`; that line, or NULL. */
const char *cft_proc_line_with(cft_proc *proc, enum cft_stream stream,
                               const char *text, int64_t timeout_ms);

/* All that was read so far of the stream, lines given out included. Valid
   until the next call. */
const char *cft_proc_text(cft_proc *proc, enum cft_stream stream, size_t *len);

/* While held, nothing is read from the child: once the pipe is full (64 KiB)
   the child blocks, as behind a reader that has stopped. */
void cft_proc_hold(cft_proc *proc, bool hold);

/* Closes our end: the child's next write fails with EPIPE. */
void cft_proc_close(cft_proc *proc, enum cft_stream stream);

/* Sends the signal to the child alone. False when it has ended already. */
bool cft_proc_signal(cft_proc *proc, int signal_number);

/* Waits for the end, collecting output unless held. True when it has ended:
 *status is then the exit code, or 128 + the signal that ended it. */
bool cft_proc_wait(cft_proc *proc, int64_t timeout_ms, int *status);

/* Kills the child's process group if it still runs, and frees. NULL is fine. */
void cft_proc_free(cft_proc *proc);

/* Open file descriptors of a process; -1 when that cannot be read. */
int cft_fd_count(pid_t pid);

/* Resident memory of a process in bytes; 0 when that cannot be read. */
size_t cft_rss_bytes(pid_t pid);

/* What ps shows: the arguments joined by blanks. False when unreadable. */
bool cft_cmdline(pid_t pid, char *buf, size_t size);

/* Raises this process's soft limit of open files to at least n. */
bool cft_want_fds(size_t n);

#endif
