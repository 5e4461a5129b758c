/*
 * Memory taken in small pieces and given back all at once: what a parser needs
 * for one text. Small pieces share blocks, some of which are kept for the next
 * text, so that ordinary texts cost no call of the allocator; a large piece is
 * an allocation of its own.
 */
#ifndef CFI_ARENA_H
#define CFI_ARENA_H

#include "alloc.h"

typedef struct cfi_arena_block cfi_arena_block;

typedef struct cfi_arena {
  const cfi_alloc *alloc;
  size_t block_size;
  cfi_arena_block *blocks; /* of small pieces, the one in use first */
  cfi_arena_block *spare;  /* kept, not in use */
  cfi_arena_block *large;
  size_t keep; /* blocks that stay */
  char *next;  /* free bytes of the block in use */
  size_t left;
} cfi_arena;

/* One block of block_size stays allocated between two texts. */
void cfi_arena_init(cfi_arena *a, const cfi_alloc *alloc, size_t block_size);
/* So many blocks stay, if they were needed, until cfi_arena_free. */
void cfi_arena_keep(cfi_arena *a, size_t blocks);
/* Lends memory of the caller's, aligned for any object, to an arena that holds
   nothing; it is used first, until the arena is reset or freed. */
void cfi_arena_lend(cfi_arena *a, void *space, size_t size);
void cfi_arena_free(cfi_arena *a);
/* Gives back every piece; keeps some blocks. */
void cfi_arena_reset(cfi_arena *a);

/* A piece for any kind of object; NULL without memory. */
void *cfi_arena_get(cfi_arena *a, size_t size);
/* Makes a piece larger, and moves it if need be; piece NULL: as get. NULL
   leaves it as it was. old_size must be the size it was made with. */
void *cfi_arena_grow(cfi_arena *a, void *piece, size_t old_size, size_t size);
/* A copy of a text with '\0' behind it. */
char *cfi_arena_text(cfi_arena *a, const char *text, size_t len);

#endif
