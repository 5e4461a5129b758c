/*
 * CRC-32C (Castagnoli): the checksum of what is stored. It finds every change
 * within 32 bits in a row, which a hash only does with luck, and is the same on
 * every machine.
 */
#ifndef CFI_CRC_H
#define CFI_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of bytes that follow others of the given sum; 0 before the first. */
uint32_t cfi_crc_of(uint32_t crc, const void *data, size_t len);

/* The same, where the processor knows no such sum. */
uint32_t cfi_crc_portable(uint32_t crc, const void *data, size_t len);

#endif
