/*
 * What an output of lckv batch has already, when a run begins: the answers that need not be
 * computed again, and the errors that need not be written again.
 */
#ifndef TOOLS_BATCH_FOUND_H
#define TOOLS_BATCH_FOUND_H

#include "batch_ids.h"
#include "batch_request.h"

struct batch_found {
    uint64_t length; /* the bytes of whole lines */
    uint64_t n_answers;
    bool is_cut; /* an unfinished line stands behind them */
};

/*
 * Reads the file and fills in the ids. A file that lckv batch has not written is refused, because
 * lines of ours would spoil it. Complains and returns an exit status.
 */
int batch_find(const char *path, int descriptor, struct batch_ids *ids, struct batch_found *found);

/* The key of an answer as its line has it. */
struct batch_key_text {
    char text[20];
};
struct batch_key_text batch_key_text(uint64_t key);

/* The fingerprint of a line with an error, without its newline. */
struct fingerprint batch_line_fingerprint(const char *line, size_t length);

#endif
