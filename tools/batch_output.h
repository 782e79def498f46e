/*
 * The output of lckv batch: a line for each answer and each error, in the order in which they come.
 *
 * A regular file is kept from run to run: a run appends to it, and begins with what it finds there.
 * Each line is written at once, so that a killed process leaves at most one unfinished line, which
 * the next run removes. About once a second what was written is brought to the disk. Anything but a
 * regular file (standard output, a pipe) is only written to.
 */
#ifndef TOOLS_BATCH_OUTPUT_H
#define TOOLS_BATCH_OUTPUT_H

#include "batch_ids.h"
#include "batch_request.h"

struct batch_output {
    const char *path;
    int descriptor;
    bool is_kept;  /* a regular file */
    bool is_dirty; /* something is not on the disk yet */
    double synced_at;
    uint64_t length;              /* of a regular file: the bytes of its whole lines */
    uint64_t n_found;             /* answers that the file had */
    uint64_t n_answers, n_errors; /* of this run, errors that the file had already included */
};

struct batch_answer {
    const char *reason;
    bool has_text; /* the model has a tokenizer */
    struct bytes text;
    const lckv_token *tokens; /* those that were generated */
    size_t n_tokens;
    size_t n_prompt;
    double seconds;
};

/* "-" is standard output. Finds what the file has. Complains and returns an exit status. */
int batch_output_open(struct batch_output *output, const char *path, struct batch_ids *ids);

/* Each writes a line, complains and returns an exit status. An error is not written twice. */
int batch_output_answer(struct batch_output *output, const struct batch_request *request,
                        const struct batch_answer *answer);
int batch_output_error(struct batch_output *output, struct batch_ids *ids,
                       const struct batch_request *request);

/* Brings all lines to the disk and closes the file. Complains and returns an exit status. */
int batch_output_close(struct batch_output *output);

#endif
