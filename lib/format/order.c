/*
 * Heapsort takes n log n steps whatever the input, and works in place.
 */
#include "format/order.h"

#include <string.h>

static void swap(char *a, char *b, size_t size)
{
    char piece[64];
    while (size > 0) {
        size_t n = size < sizeof piece ? size : sizeof piece;
        memcpy(piece, a, n);
        memcpy(a, b, n);
        memcpy(b, piece, n);
        a += n;
        b += n;
        size -= n;
    }
}

static void sift_down(char *elements, size_t root, size_t count, size_t size,
                      int (*compare)(const void *a, const void *b))
{
    while (2 * root + 1 < count) {
        size_t child = 2 * root + 1;
        if (child + 1 < count &&
            compare(elements + child * size, elements + (child + 1) * size) < 0)
            child++;
        if (compare(elements + root * size, elements + child * size) >= 0)
            return;
        swap(elements + root * size, elements + child * size, size);
        root = child;
    }
}

void order_sort(void *elements, size_t count, size_t size,
                int (*compare)(const void *a, const void *b))
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(elements, i, count, size, compare);
    for (size_t end = count; end-- > 1;) {
        swap(elements, (char *)elements + end * size, size);
        sift_down(elements, 0, end, size, compare);
    }
}
