/*
 * SipHash-2-4 with 128 bits of output: names made of long texts, and sums that
 * must be the same on every machine.
 */
#ifndef CFI_HASH_H
#define CFI_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cfi_hash {
  uint64_t low, high; /* the first eight bytes of the output, little-endian,
                         and the second eight */
} cfi_hash;

enum { CFI_HASH_TEXT = 33 }; /* 32 hexadecimal digits and '\0' */

cfi_hash cfi_hash_of(const unsigned char key[16], const void *data, size_t len);

/* The same for a message that comes in pieces: all but the last, which goes to
   cfi_hash_end, are of 8, 16, 24 ... bytes. */
typedef struct cfi_hash_state {
  uint64_t v0, v1, v2, v3;
  uint64_t len; /* so far */
} cfi_hash_state;
void cfi_hash_start(cfi_hash_state *s, const unsigned char key[16]);
void cfi_hash_add(cfi_hash_state *s, const void *data, size_t len);
cfi_hash cfi_hash_end(cfi_hash_state *s, const void *data, size_t len);

/* The output's bytes in hexadecimal. */
void cfi_hash_text(cfi_hash hash, char out[CFI_HASH_TEXT]);

#endif
