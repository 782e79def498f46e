/*
 * A sort that neither allocates nor degrades on hostile input; qsort may do both.
 */
#ifndef LCKV_FORMAT_ORDER_H
#define LCKV_FORMAT_ORDER_H

#include <stddef.h>

/* Sorts `count` elements of `size` bytes, as qsort would. Not stable. */
void order_sort(void *elements, size_t count, size_t size,
                int (*compare)(const void *a, const void *b));

#endif
