/*
 * What the library makes of rows, as text: for test_portable.sh, which has it
 * from this machine and from others, where it must be the same. Reads rows from
 * its input, a line each; puts thousands of made ones into a mirror's table.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "crc.h"
#include "mirror_digest.h"
#include "mirror_tree.h"
#include "row_direct.h"
#include "scan.h"

enum { DEPTH = 50, MADE = 5000 };

static void fail(const char *what) {
  fprintf(stderr, "says: %s\n", what);
  exit(1);
}

static void say(const char *name, changefeed_str text) {
  printf(" %s=%.*s", name, text.data != NULL ? (int)text.len : 1,
         text.data != NULL ? text.data : "-");
}

static void say_digest(const char *name, cfi_digest digest) {
  char text[CFI_HASH_TEXT];

  cfi_digest_text(digest, text);
  printf("%s %s\n", name, text);
}

/* Taken without a parser, on the path that every machine has; and the table. */
static void read_row(const cfi_alloc *alloc, cfi_tree *tree, const char *text,
                     size_t len) {
  const cfi_scan_path *path = cfi_scan_path_at(0);
  cfi_scan scan = {0};
  cfi_row_places places;
  cfi_arena texts;
  cfi_row row;
  size_t end = 0;

  printf("%zu bytes, crc %08" PRIx32 ":", len, cfi_crc_of(0, text, len));
  if (path->object(&scan, DEPTH, false, text, len, &end) != CFI_SCAN_END)
    fail("a line is no row");
  memset(&row, 0, sizeof row);
  cfi_arena_init(&texts, alloc, 2048);
  if (cfi_row_find_whole(path, CFI_ROW_OF_DATABASE, DEPTH, text, end,
                         scan.inner, &places)) {
    if (!cfi_row_copy(&texts, text, &places, &row))
      fail("no memory");
    say("seq", row.seq);
    say("id", row.id);
    for (size_t i = 0; i < row.rev_count; i++)
      say("rev", row.revs[i]);
    printf(" doc=%zu+%zu deleted=%d", row.doc_offset, row.doc_len, row.deleted);
    if (row.rev_count != 0 &&
        cfi_tree_put(tree, row.id, row.revs[0], NULL) == CFI_TREE_NOMEM)
      fail("no memory");
  } else {
    printf(" left to the parser");
  }
  puts("");
  cfi_arena_free(&texts);
}

static void fill(cfi_tree *tree) {
  for (unsigned i = 0; i < MADE; i++) {
    unsigned n = i * 2654435761u % MADE;
    char id[32], rev[48];
    changefeed_str name, text;

    name = (changefeed_str){id, (size_t)snprintf(id, sizeof id, "doc-%u", n)};
    text = (changefeed_str){
        rev, (size_t)snprintf(rev, sizeof rev, "%u-%08x%08x%08x%08x",
                              n % 300 + 1, n, n * 7, n * 77, n * 777)};
    if (cfi_tree_put(tree, name, text, NULL) == CFI_TREE_NOMEM)
      fail("no memory");
    if (i % 3 == 0)
      (void)cfi_tree_remove(tree, name);
  }
}

static void say_tree(const cfi_tree *tree) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_digest sum = {0, 0};
  cfi_tree_entry entry;
  cfi_tree_walk walk;

  printf("%" PRIu64 " entries\n", cfi_tree_count(tree));
  cfi_tree_walk_start(tree, all, &walk);
  for (unsigned i = 0; cfi_tree_next(&walk, &entry); i++) {
    sum = cfi_digest_add(sum, cfi_digest_of(entry.id, entry.rev));
    if (i % 100 == 0) {
      say("id", entry.id);
      say("rev", entry.rev);
      puts("");
    }
  }
  if (!cfi_digest_equal(sum, cfi_tree_digest(tree)))
    fail("the table's digest is not that of its entries");
  say_digest("digest", sum);
}

int main(void) {
  static char line[1 << 20];
  cfi_alloc alloc;
  cfi_tree *tree;

  if (!cfi_alloc_init(&alloc, NULL))
    fail("no memory");
  tree = cfi_tree_new(&alloc, NULL);
  if (tree == NULL)
    fail("no memory");
  while (fgets(line, sizeof line, stdin) != NULL)
    read_row(&alloc, tree, line, strcspn(line, "\r\n"));
  fill(tree);
  say_tree(tree);
  cfi_tree_free(tree);
  return ferror(stdin) != 0 || fflush(stdout) != 0;
}
