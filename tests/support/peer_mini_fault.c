/* Faults of the mini couch: which request suffers which. What a fault does to
   a response is in peer_mini_serve.c. */
#include "mem.h"
#include "peer_mini_int.h"

size_t cft_mini_fault(cft_mini *mini, const cft_fault *fault) {
  cft_struck *s = cft_calloc(1, sizeof *s);
  s->fault = *fault;
  s->fault.match = cft_strdup(fault->match);
  s->fault.headers = cft_strdup(fault->headers);
  s->fault.body = cft_strdup(fault->body);
  if (fault->raw) {
    size_t len = fault->raw_len ? fault->raw_len : strlen(fault->raw);
    s->fault.raw = cft_memdup(fault->raw, len);
    s->fault.raw_len = len;
  }
  pthread_mutex_lock(&mini->mu);
  mini->faults = cft_room(mini->faults, mini->fault_count, &mini->fault_cap,
                          sizeof *mini->faults);
  size_t number = mini->fault_count++;
  mini->faults[number] = s;
  pthread_mutex_unlock(&mini->mu);
  return number;
}

/* Every fault counts the requests it is for, also those it does not get. */
cft_struck *cft_mini_strike(cft_mini *mini, unsigned kind, const char *head) {
  cft_struck *found = NULL;
  pthread_mutex_lock(&mini->mu);
  for (size_t i = 0; i < mini->fault_count; i++) {
    cft_struck *s = mini->faults[i];
    const cft_fault *f = &s->fault;
    if (s->healed || !(f->on & kind) ||
        (f->match && head && !strstr(head, f->match)) || s->seen++ < f->skip ||
        found)
      continue;
    if (f->times == 0 || s->hits < f->times) {
      s->hits++;
      found = s;
    }
  }
  pthread_mutex_unlock(&mini->mu);
  return found;
}

size_t cft_mini_fault_hits(cft_mini *mini, size_t fault) {
  pthread_mutex_lock(&mini->mu);
  size_t n = fault < mini->fault_count ? mini->faults[fault]->hits : 0;
  pthread_mutex_unlock(&mini->mu);
  return n;
}

size_t cft_mini_fault_cuts(cft_mini *mini, size_t fault) {
  pthread_mutex_lock(&mini->mu);
  size_t n = fault < mini->fault_count ? mini->faults[fault]->cuts : 0;
  pthread_mutex_unlock(&mini->mu);
  return n;
}

void cft_mini_heal(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  for (size_t i = 0; i < mini->fault_count; i++)
    mini->faults[i]->healed = true;
  pthread_mutex_unlock(&mini->mu);
}

static void free_text(const char *text) {
  union {
    const char *shown;
    char *owned;
  } t = {.shown = text};
  free(t.owned);
}

void cft_mini_faults_free(cft_mini *mini) {
  for (size_t i = 0; i < mini->fault_count; i++) {
    free_text(mini->faults[i]->fault.match);
    free_text(mini->faults[i]->fault.headers);
    free_text(mini->faults[i]->fault.body);
    free_text(mini->faults[i]->fault.raw);
    free(mini->faults[i]);
  }
  free(mini->faults);
}
