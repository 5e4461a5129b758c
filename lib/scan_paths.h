/*
 * The paths of scan: which ones this build has.
 */
#ifndef CFI_SCAN_PATHS_H
#define CFI_SCAN_PATHS_H

#include "scan.h"

extern const cfi_scan_path cfi_scan_portable;

#if defined(__GNUC__) && defined(__x86_64__)
#define CFI_SCAN_X86 1
extern const cfi_scan_path cfi_scan_sse2, cfi_scan_avx2;
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__ARM_NEON) &&      \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CFI_SCAN_NEON 1
extern const cfi_scan_path cfi_scan_neon;
#endif

#endif
