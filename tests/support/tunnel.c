/* openssl makes a certificate, stunnel4 runs in the foreground with it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tunnel.h"

#include <check.h>

#include "mem.h"
#include "proc.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 20000 };

struct cft_tunnel {
  cft_proc *proc;
  scratch_dir dir;
  unsigned port;
};

static void make_certificate(scratch_dir *dir) {
  char key[1100], certificate[1100];
  const char *const argv[] = {"openssl",
                              "req",
                              "-x509",
                              "-newkey",
                              "ec",
                              "-pkeyopt",
                              "ec_paramgen_curve:prime256v1",
                              "-nodes",
                              "-days",
                              "2",
                              "-keyout",
                              key,
                              "-out",
                              certificate,
                              "-subj",
                              "/CN=test",
                              NULL};
  cft_proc *proc;
  int status = -1;

  (void)snprintf(key, sizeof key, "%s", scratch_path(dir, "key.pem"));
  (void)snprintf(certificate, sizeof certificate, "%s",
                 scratch_path(dir, "cert.pem"));
  proc = cft_proc_start(argv, NULL);
  ck_assert_msg(proc != NULL, "openssl cannot be run; this test needs it");
  ck_assert_msg(cft_proc_wait(proc, LONG_MS, &status) && status == 0,
                "openssl has failed (%d): %s", status,
                cft_proc_text(proc, CFT_STDERR, NULL));
  cft_proc_free(proc);
}

cft_tunnel *cft_tunnel_start(uint16_t target) {
  cft_tunnel *t = cft_calloc(1, sizeof *t);
  char text[4096], config[1100];
  const char *const argv[] = {"stunnel4", config, NULL};
  const char *line;
  int n;

  scratch_begin(&t->dir);
  make_certificate(&t->dir);
  n = snprintf(text, sizeof text,
               "foreground = yes\npid =\ndebug = 6\n"
               "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
               "[couch]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:%u\n"
               "cert = %s/cert.pem\nkey = %s/key.pem\n",
               target, t->dir.path, t->dir.path);
  ck_assert(n > 0 && (size_t)n < sizeof text);
  scratch_write(&t->dir, "stunnel.conf", text, (size_t)n);
  (void)snprintf(config, sizeof config, "%s",
                 scratch_path(&t->dir, "stunnel.conf"));
  t->proc = cft_proc_start(argv, NULL);
  ck_assert_msg(t->proc != NULL, "stunnel4 cannot be run; this test needs it");
  line =
      cft_proc_line_with(t->proc, CFT_STDERR, "bound to 127.0.0.1:", LONG_MS);
  ck_assert_msg(line != NULL, "stunnel4 does not start: %s",
                cft_proc_text(t->proc, CFT_STDERR, NULL));
  ck_assert_int_eq(
      sscanf(strstr(line, "bound to"), "bound to 127.0.0.1:%u", &t->port), 1);
  return t;
}

uint16_t cft_tunnel_port(const cft_tunnel *tunnel) {
  return (uint16_t)tunnel->port;
}

void cft_tunnel_listen(cft_tunnel *tunnel) {
  (void)cft_proc_text(tunnel->proc, CFT_STDERR, NULL);
}

void cft_tunnel_stop(cft_tunnel *t) {
  if (t == NULL)
    return;
  cft_proc_free(t->proc);
  scratch_end(&t->dir);
  free(t);
}
