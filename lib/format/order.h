/*
 * Order: comparing texts, and a sort that neither allocates nor degrades on hostile input (qsort
 * may do both).
 */
#ifndef LCKV_FORMAT_ORDER_H
#define LCKV_FORMAT_ORDER_H

#include "format/metadata.h"

/* Bytewise; a prefix comes first. */
int text_compare(struct text a, struct text b);
bool text_equals(struct text text, const char *string);

/* Sorts `count` elements of `size` bytes, as qsort would. Not stable. */
void order_sort(void *elements, size_t count, size_t size,
                int (*compare)(const void *a, const void *b));

#endif
