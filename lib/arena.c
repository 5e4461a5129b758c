/*
 * Pieces of memory that live and die together.
 */
#include "arena.h"

#include <stdint.h>
#include <string.h>

struct cfi_arena_block {
  cfi_arena_block *next, *prev;
  _Alignas(max_align_t) char data[];
};

enum { ALIGN = _Alignof(max_align_t) };

void cfi_arena_init(cfi_arena *a, const cfi_alloc *alloc, size_t block_size) {
  memset(a, 0, sizeof *a);
  a->alloc = alloc;
  a->block_size = block_size;
  a->keep = 1;
}

void cfi_arena_keep(cfi_arena *a, size_t blocks) { a->keep = blocks; }

void cfi_arena_lend(cfi_arena *a, void *space, size_t size) {
  a->next = space;
  a->left = size;
}

static void free_all(cfi_arena *a, cfi_arena_block *block) {
  while (block != NULL) {
    cfi_arena_block *next = block->next;

    cfi_free(a->alloc, block);
    block = next;
  }
}

void cfi_arena_free(cfi_arena *a) {
  size_t keep = a->keep;

  free_all(a, a->blocks);
  free_all(a, a->spare);
  free_all(a, a->large);
  cfi_arena_init(a, a->alloc, a->block_size);
  a->keep = keep;
}

static void use_block(cfi_arena *a, cfi_arena_block *block) {
  a->next = block->data;
  a->left = a->block_size;
}

/* All but the first of the blocks in use; those beyond what is kept are freed.
 */
static void put_aside(cfi_arena *a) {
  cfi_arena_block *block = a->blocks->next;
  size_t kept = 1;

  for (const cfi_arena_block *b = a->spare; b != NULL; b = b->next)
    kept++;
  a->blocks->next = NULL;
  for (; block != NULL && kept < a->keep; kept++) {
    cfi_arena_block *next = block->next;

    block->next = a->spare;
    a->spare = block;
    block = next;
  }
  free_all(a, block);
}

void cfi_arena_reset(cfi_arena *a) {
  free_all(a, a->large);
  a->large = NULL;
  a->next = NULL;
  a->left = 0;
  if (a->blocks == NULL)
    return;
  if (a->blocks->next != NULL)
    put_aside(a);
  use_block(a, a->blocks);
}

/* So that no more than half a block is lost at its end. */
static bool is_large(const cfi_arena *a, size_t rounded) {
  return rounded > a->block_size / 2;
}

static bool round_up(size_t size, size_t *out) {
  if (!cfi_add(size != 0 ? size : 1, ALIGN - 1, out))
    return false;
  *out -= *out % ALIGN;
  return true;
}

static void link_large(cfi_arena *a, cfi_arena_block *block) {
  if (block->next != NULL)
    block->next->prev = block;
  if (block->prev != NULL)
    block->prev->next = block;
  else
    a->large = block;
}

/* Makes a new large piece, or resizes one (old not NULL). */
static void *resize_large(cfi_arena *a, cfi_arena_block *old, size_t rounded) {
  cfi_arena_block *block;
  size_t size;

  if (!cfi_add(sizeof *block, rounded, &size))
    return NULL;
  block = cfi_resize(a->alloc, old, size, 1);
  if (block == NULL)
    return NULL;
  if (old == NULL) {
    block->prev = NULL;
    block->next = a->large;
  }
  link_large(a, block);
  return block->data;
}

static bool add_block(cfi_arena *a) {
  cfi_arena_block *block = a->spare;

  if (block != NULL)
    a->spare = block->next;
  else
    block = cfi_malloc(a->alloc, sizeof *block + a->block_size);
  if (block == NULL)
    return false;
  block->prev = NULL;
  block->next = a->blocks;
  a->blocks = block;
  use_block(a, block);
  return true;
}

void *cfi_arena_get(cfi_arena *a, size_t size) {
  void *piece;
  size_t rounded;

  if (!round_up(size, &rounded))
    return NULL;
  if (is_large(a, rounded))
    return resize_large(a, NULL, rounded);
  if (rounded > a->left && !add_block(a))
    return NULL;
  piece = a->next;
  a->next += rounded;
  a->left -= rounded;
  return piece;
}

void *cfi_arena_grow(cfi_arena *a, void *piece, size_t old_size, size_t size) {
  size_t had, rounded;
  void *grown;

  if (piece == NULL)
    return cfi_arena_get(a, size);
  if (!round_up(old_size, &had) || !round_up(size, &rounded))
    return NULL;
  if (rounded <= had)
    return piece;
  if (is_large(a, had)) {
    char *data = piece;

    return resize_large(a, (void *)(data - offsetof(cfi_arena_block, data)),
                        rounded);
  }
  if ((char *)piece + had == a->next && rounded - had <= a->left &&
      !is_large(a, rounded)) {
    a->next += rounded - had;
    a->left -= rounded - had;
    return piece;
  }
  grown = cfi_arena_get(a, size);
  if (grown != NULL)
    memcpy(grown, piece, old_size);
  return grown;
}

char *cfi_arena_text(cfi_arena *a, const char *text, size_t len) {
  char *copy;
  size_t size;

  if (!cfi_add(len, 1, &size))
    return NULL;
  copy = cfi_arena_get(a, size);
  if (copy == NULL)
    return NULL;
  if (len != 0)
    memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}
