/*
 * See suggest.h.
 */
#include "suggest.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_LENGTH = 32 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters of `a` must be added, left out, replaced or swapped with the next one to make
 * `b`. Both are at most MAX_LENGTH long.
 */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[MAX_LENGTH + 1][MAX_LENGTH + 1];
    for (size_t i = 0; i <= a_length; i++)
        rows[i][0] = i;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            size_t best = smaller(replaced, smaller(rows[i - 1][j], rows[i][j - 1]) + 1);
            bool is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            rows[i][j] = is_swapped ? smaller(best, rows[i - 2][j - 2] + 1) : best;
        }
    }
    return rows[a_length][b_length];
}

/* Whether one is the beginning of the other, as gen is of generate. */
static bool is_beginning(const char *a, size_t a_length, const char *b, size_t b_length)
{
    enum { LEAST_LETTERS = 3 };
    size_t common = smaller(a_length, b_length);
    return common >= LEAST_LETTERS && a_length != b_length && memcmp(a, b, common) == 0;
}

void suggest(struct suggestion *suggestion, const char *name, size_t length)
{
    if (suggestion->length > MAX_LENGTH || length > MAX_LENGTH)
        return;
    size_t distance = edit_distance(suggestion->word, suggestion->length, name, length);
    /* The beginning of a name counts as one wrong letter; more than a third is too far. */
    if (is_beginning(suggestion->word, suggestion->length, name, length))
        distance = 1;
    bool is_near = distance <= 2 && distance * 3 <= length;
    if (is_near && (suggestion->name == NULL || distance < suggestion->distance)) {
        suggestion->name = name;
        suggestion->name_length = length;
        suggestion->distance = distance;
    }
}
