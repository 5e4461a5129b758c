# The bugs of mirrors that tests/couchsim/planted.sh --mirror plants. Read by
# it; each is a name, a substitution that changes one file, and perhaps a seed.
# shellcheck shell=bash disable=SC2016 # $1 is Perl's

plant older-revision-applied \
  's/    if \(order < 0\)\n      return doubt\(m, c\);\n//'
plant deletes-forgotten-after-a-reset \
  's/  cfi_tree_clear\(m->next\);\n  m->rebuilding = true;/  m->rebuilding = false;/'
plant gap-between-list-and-follow \
  's/m->phase == CFI_MIRROR_STARTING \|\|\n/m->phase <= CFI_MIRROR_LISTING ||\n/'
plant rows-before-the-position \
  's/m->phase == CFI_MIRROR_STARTING \|\|\n/false ||\n/' 666
plant digest-keeps-what-is-deleted \
  's/(  gone = cfi_tree_leaf_sum\(path.leaf, path.pos, path.pos \+ 1\);\n)/$1  gone.digest = nothing.digest;\n/'
plant gone-twice \
  's/(    held->rev.data = rev;\n    call_gone\(m, held\);\n)/$1    if (held->id.len % 5 == 0)\n      call_gone(m, held);\n/'
plant gone-of-what-was-never-there \
  's/  if \(!cfi_mirror_find\(m, id, &held\)\)\n    return CHANGEFEED_CONTINUE;\n  if \(!m->rebuilding\)\n    return take_out/  if (!cfi_mirror_find(m, id, \&held)) {\n    held.id = id;\n    held.rev = id;\n    held.value = NULL;\n    call_gone(m, \&held);\n    return CHANGEFEED_CONTINUE;\n  }\n  if (!m->rebuilding)\n    return take_out/'
plant new-contents-before-they-are-whole \
  's/(  m->rebuilding = true;\n  m->held_up = false;\n  m->phase = CFI_MIRROR_)READING;/$1CLEARING;/'
plant new-contents-where-the-old-are \
  's/(  cfi_tree_clear\(m->next\);\n)  m->rebuilding = true;/$1/'
plant doubts-dropped-when-asked-for \
  's/  if \(!agrees\(m, c, d\)\)\n    return keep_doubt[^;]*;//'
plant doubt-outlives-the-feeds-word \
  's/return cfi_doubt_settle\(m, id\) && cfi_audit_moved\(m, id\);/return cfi_audit_moved(m, id);/' 800
plant graves-ignored-by-the-list \
  's/ \|\| in_grave\(m, c->id, &entry\) \|\|/ ||/'
plant list-over-the-feeds-word \
  's/if \(cfi_mirror_find\(m, c->id, &entry\) \|\| in_grave/if ((cfi_mirror_find(m, c->id, \&entry) \&\& cfi_rev_compare(rev_of(c), entry.rev) <= 0) || in_grave/' 2102
plant grave-not-dug \
  's/  if \(!bury\(m, c->id, rev_of\(c\)\)\)\n    return CHANGEFEED_LATER;\n//'
plant published-before-the-list-is-read \
  's/if \(!cfi_mirror_gone\(m\) && m->shows && !m->rebuilding\)\n    cfi_mirror_publish/if (!cfi_mirror_gone(m))\n    cfi_mirror_publish/' 3627
plant bound-is-inside \
  's/compare_bytes\(id, m->to\) < 0/compare_bytes(id, m->to) <= 0/'
plant list-of-another-history \
  's/      l->foreign \|\| !m->world.same_history\(m->world.ctx, m->feed, feed\);/      false;/' 287
plant snapshot-with-doubts \
  's/ && !m->rebuilding &&\n         !cfi_doubt_any\(m\);/;/' 128
plant position-kept-over-a-batch-half-taken \
  's/return cfi_mirror_leave\(m\) && verdict != CHANGEFEED_CONTINUE/return cfi_mirror_leave(m) \&\& verdict == CHANGEFEED_LATER/' 368
plant audit-trusts-a-silent-feed \
  's/  if \(a->last.len != 0 \|\| a->rounds \+ 1 < CERTAIN\)\n    return true;/  return true;/'
plant audit-looks-once \
  's/CERTAIN = 3,/CERTAIN = 1,/'
plant audit-does-not-repair \
  's/  verdict = cfi_doubt_answer\(m, c, d.held\);/  verdict = CHANGEFEED_CONTINUE;/'
plant audit-misses-the-last \
  's/  while \(ok && a->walking\) \{\n    ok = suspect/  while (false) {\n    ok = suspect/'
plant value-freed-too-early \
  's/  v->of->count\+\+;\n//'
plant value-never-freed \
  's/if \(of == NULL && v->made != NULL && /if (of == NULL \&\& v->made != NULL \&\& v->len != 0 \&\& /'
