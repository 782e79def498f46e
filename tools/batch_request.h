/*
 * A line of the input of lckv batch: what is asked for, as it was written.
 */
#ifndef TOOLS_BATCH_REQUEST_H
#define TOOLS_BATCH_REQUEST_H

#include "fingerprint.h"
#include "sampling.h"
#include "values.h"

/* The id of a line. Without one it is the line's number, whose text stands in a batch_number. */
struct batch_id {
    bool is_number; /* `text` is a number, spelled as in the input; else it is a string */
    lckv_string text;
};

struct batch_number {
    char text[24];
};

/* What a line may leave out, and what takes its place. */
struct batch_defaults {
    struct sampling sampling;
    uint64_t max_tokens;
    struct string_list stops;
};

struct batch_request {
    char *memory;       /* the line, which the texts point into */
    uint64_t line;      /* its number */
    struct batch_id id; /* without a text if the line has none */

    /* One of these is given; the texts of the others are NULL. */
    lckv_string prompt;
    struct token_list tokens;
    lckv_message *messages;
    size_t n_messages;

    struct sampling sampling;
    uint64_t max_tokens;
    struct string_list stops;
    bool has_own_stops; /* else they are those of the defaults, which own them */

    uint64_t key; /* of all that decides what the answer is; never 0 */

    char problem[512]; /* why the line cannot be answered; empty if it can */
};

/*
 * Reads a line, which is copied. If it is not what it should be, the request has a problem, and
 * what could be read of it. Returns false if memory ran out.
 */
bool batch_request_read(const char *line, size_t length, uint64_t number,
                        const struct batch_defaults *defaults, struct batch_request *request);

/* Sets the problem, unless there is one already. Returns false. */
__attribute__((format(printf, 2, 3))) bool batch_request_fail(struct batch_request *request,
                                                              const char *format, ...);

struct batch_id batch_request_id(const struct batch_request *request, struct batch_number *number);
struct fingerprint batch_id_fingerprint(struct batch_id id);

/* Adds all of the request that decides what the answer is. */
void batch_request_add(struct fingerprint *fingerprint, const struct batch_request *request);

void batch_request_free(struct batch_request *request);

#endif
