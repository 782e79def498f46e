/*
 * Where restored parts go: sessions that named the same parts when they were saved share pages
 * again, whatever the size of a page is now.
 *
 * Pages are planned before any is taken, and have numbers of their own until then. A session joins
 * the planned page that has its part, if the two agree on all parts that both have, and adds the
 * others: beyond its own tokens a page may hold those of another session. Where they disagree, the
 * session gets a page of its own, with copies of the parts that they have in common.
 */
#ifndef LCKV_CACHE_PLACING_H
#define LCKV_CACHE_PLACING_H

#include "cache/saved_parts.h"

/* A part of the saved sessions. */
struct placed_part {
    uint64_t index; /* in its slot */
    uint32_t slot;
    uint32_t home;   /* the first planned page that has the part: it is read into this one */
    uint32_t latest; /* the last one */
    struct saved_span span;
};

struct placing {
    struct lckv_cache *cache;
    size_t most_parts;         /* of a page */
    struct placed_part *parts; /* [n_parts]; part number 1 comes first */
    size_t n_parts, part_capacity;
    uint32_t *contents; /* [n_pages][most_parts] numbers of parts, 0 for none */
    size_t content_capacity;
    uint32_t *pages; /* [n_taken] ids of the pages that took the place of planned ones */
    size_t n_pages, n_taken;
};

void placing_init(struct placing *placing, struct lckv_cache *cache);

/*
 * Notes that part `index` of a slot is the one with this number, of which a session needs `span`.
 * LCKV_BAD_FORMAT if the number is neither that of this part nor the next new one.
 */
CHECKED lckv_status placing_name_part(struct placing *placing, uint32_t number, uint32_t slot,
                                      uint64_t index, struct saved_span span);

/*
 * Gives a slot of a session its next page: numbers[i], of most_parts, is part i of the page, 0 for
 * none. The page is counted in slot->kept, not in slot->count, before placing_take.
 */
CHECKED lckv_status placing_add_page(struct placing *placing, struct slot_pages *slot,
                                     const uint32_t *numbers);

/*
 * Takes all pages and gives them to the slots of the sessions. LCKV_CACHE_FULL if there are too
 * few; then none is taken. Until placing_release, the pages are also held here.
 */
CHECKED lckv_status placing_take(struct placing *placing, struct lckv_session *const *sessions,
                                 size_t n_sessions);

/* The page that a part is to be read into. */
uint8_t *placing_page(const struct placing *placing, const struct placed_part *part);

/* Copies parts from the pages that they were read into to the other pages that have them. */
CHECKED lckv_status placing_copy(const struct placing *placing, uint8_t *plain);

void placing_release(struct placing *placing);

#endif
