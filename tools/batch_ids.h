/*
 * What a run of lckv batch must remember of every line, in 32 bytes: which ids have an answer, and
 * which the input has used.
 */
#ifndef TOOLS_BATCH_IDS_H
#define TOOLS_BATCH_IDS_H

#include "fingerprint.h"

struct batch_entry {
    struct fingerprint fingerprint; /* of an id, or of a line with an error; 0: no entry */
    uint64_t key;                   /* of the answer that the output has; 0: it has none */
    uint64_t line;                  /* of the input that has the id; 0: none so far */
};

struct batch_ids {
    struct batch_entry *entries; /* a table that is at most two thirds full */
    size_t capacity;             /* a power of two, or 0 */
    size_t count;
};

/*
 * The entry with this fingerprint, which is new and zero if there was none. It is valid until the
 * next call. NULL if memory ran out.
 */
struct batch_entry *batch_ids_entry(struct batch_ids *ids, struct fingerprint fingerprint);

void batch_ids_free(struct batch_ids *ids);

#endif
