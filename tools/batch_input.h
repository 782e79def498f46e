/*
 * The input of lckv batch: JSON Lines, read as they are needed. What has an answer already is
 * skipped, and what cannot be answered becomes an error in the output.
 */
#ifndef TOOLS_BATCH_INPUT_H
#define TOOLS_BATCH_INPUT_H

#include "batch_output.h"
#include "lines.h"

struct batch_input {
    const char *path;
    struct lines lines;
    struct batch_defaults defaults;
    struct fingerprint settings; /* of what decides the answers of all lines: the model and so on */
    struct batch_ids ids;
    struct batch_output *output;
    uint64_t n_prompts; /* lines that were read, without blank ones */
    uint64_t n_skipped; /* of those, lines that had an answer */
};

enum batch_next { BATCH_REQUEST, BATCH_LATER, BATCH_END, BATCH_FAILED };

/* "-" is standard input. Complains and returns an exit status. */
int batch_input_open(struct batch_input *input, const char *path);

/* How many lines the file has; 0 if it is not a regular one. */
uint64_t batch_input_count(const struct batch_input *input);

/*
 * The next request, which is the caller's. BATCH_LATER: nothing is there now, or a signal came;
 * waits only if `may_wait`. BATCH_FAILED follows a complaint.
 */
enum batch_next batch_input_next(struct batch_input *input, bool may_wait,
                                 struct batch_request *request);

void batch_input_close(struct batch_input *input);

#endif
