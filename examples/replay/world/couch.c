/* The simulated database: started, its databases made, told what is to go
 * wrong. */
#include "world.h"

#include <stdio.h>
#include <string.h>

bool couch_start(run *r) {
  char program[PATH_LEN], seed[32], nodes[16], ports[PATH_LEN], said[1024];
  (void)snprintf(program, sizeof program, "%s", r->o->couchsim);
  (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
  (void)snprintf(ports, sizeof ports, "%.400s/couch.ports", r->dir);
  (void)snprintf(r->couchsim.log, sizeof r->couchsim.log, "%.400s/couch.log",
                 r->dir);
  (void)snprintf(nodes, sizeof nodes, "%u", r->o->nodes);
  const char *argv[] = {program, "--nodes",     nodes, "--seed",
                        seed,    "--port-file", ports, NULL};
  if (!proc_start(&r->couchsim, argv) ||
      !file_wait(&r->couchsim, ports, said, sizeof said))
    return false;
  char *at = said;
  for (unsigned i = 0; i < r->o->nodes; i++) {
    char *end = strchr(at, '\n');
    if (!end)
      return false;
    (void)snprintf(r->couch[i], sizeof r->couch[i], "%.*s",
                   (int)(end - at - (end[-1] == '/')), at);
    at = end + 1;
  }
  at = strstr(said, "control ");
  if (!at)
    return false;
  (void)snprintf(r->control, sizeof r->control, "%.*s",
                 (int)strcspn(at + 8, "\n"), at + 8);
  size_t len = strlen(r->control);
  if (len && r->control[len - 1] == '/')
    r->control[len - 1] = '\0';
  return true;
}

bool couch_databases(run *r) {
  rest *couch = rest_to(r->couch[2], NULL);
  char path[64];
  int apps = ask(couch, "PUT", "/apps?n=3", NULL, 5000, NULL);
  (void)snprintf(path, sizeof path, "/locks?n=%u", r->o->copies);
  int locks = ask(couch, "PUT", path, NULL, 5000, NULL);
  int sys = ask(couch, "PUT", "/apps/sys:maintenance",
                json_pack("{s:s,s:s,s:n}", "mode", "off", "msg", "", "until"),
                5000, NULL);
  rest_free(couch);
  return apps / 100 == 2 && locks / 100 == 2 && sys / 100 == 2;
}

static const char rules[] = "[{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.06,"
                            "\"do\":{\"then\":\"close\"}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.04,"
                            "\"do\":{\"then\":\"reset\"}},"
                            "{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.04,"
                            "\"do\":{\"apply_ms\":1500,\"status\":500}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.03,"
                            "\"do\":{\"apply_ms\":4000,\"then\":\"close\"}},"
                            "{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.01,"
                            "\"do\":{\"apply_ms\":12000,\"then\":\"silence\"}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.05,"
                            "\"do\":{\"status\":503}},"
                            "{\"node\":0,\"kind\":\"doc_get\",\"chance\":0.04,"
                            "\"do\":{\"status\":500}},"
                            "{\"node\":0,\"chance\":0.1,\"kind\":\"doc_put\","
                            "\"do\":{\"delay_ms\":300}},"
                            "{\"node\":1,\"chance\":0.1,\"kind\":\"doc_put\","
                            "\"do\":{\"head_ms\":400}}]";

void tell_couch(run *r, const char *method, const char *what, json_t *body) {
  rest *control = rest_to(r->control, NULL);
  int status = ask(control, method, what, body, 5000, NULL);
  if (status / 100 != 2)
    (void)fprintf(stderr, "couchsim %s %s: %d\n", method, what, status);
  rest_free(control);
}

void couch_faults(run *r, bool on) {
  if (on)
    tell_couch(r, "POST", "/rules", json_loads(rules, 0, NULL));
  else
    tell_couch(r, "DELETE", "/rules", NULL);
}
