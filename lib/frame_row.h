/*
 * The part of frame that is within a row.
 */
#ifndef CFI_FRAME_ROW_H
#define CFI_FRAME_ROW_H

#include "frame.h"

/* The row at f->row begins with the next byte looked at. */
void cfi_frame_begin_row(cfi_frame *f, bool stray);
/* Looks on within it. ROW: the item is complete; MORE, or a fault. */
cfi_frame_kind cfi_frame_look_at_row(cfi_frame *f, const char *data, size_t len,
                                     cfi_frame_item *item);
cfi_frame_kind cfi_frame_fail(cfi_frame *f, cfi_frame_kind kind,
                              const char *why);

#endif
