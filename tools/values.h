/*
 * Parses values that people type (numbers, sizes, lists, prefill modes), and reads whole files.
 *
 * Nothing here prints, because only callers know which option a value belongs to.
 */
#ifndef TOOLS_VALUES_H
#define TOOLS_VALUES_H

#include "lckv.h"

#include <stdbool.h>

/* A file's bytes, or a text; `data` is from malloc and has a NUL after the last byte. */
struct bytes {
    char *data;
    size_t length;
};

/* The memory of lists is from malloc. NULL and 0 are the empty list. */
struct token_list {
    lckv_token *ids;
    size_t count;
};

struct number_list {
    uint64_t *items;
    size_t count;
};

struct string_list {
    lckv_string *items; /* the texts belong to the command line */
    size_t count;
};

/* The prefill members of lckv_evaluate_options. */
struct prefill {
    lckv_prefill mode;
    uint32_t forward_passes;
    uint32_t backward_passes;
    uint32_t window;
    float tolerance;
};

/* In which types a cache keeps keys and values. */
struct kv_types {
    lckv_dtype keys, values;
};
#define KV_TYPES_DEFAULT ((struct kv_types){LCKV_DTYPE_F16, LCKV_DTYPE_F16})

/* A whole decimal number, with nothing before or after it. */
bool parse_number(const char *text, uint64_t *number);

/* A finite decimal number, perhaps with a fraction or an exponent. */
bool parse_real(const char *text, double *number);

/* Bytes: "123", "8GiB", "1.5 GB". K, M, G and T alone mean the binary unit. */
bool parse_size(const char *text, uint64_t *bytes);

/*
 * "auto", "auto:WINDOW", "auto:WINDOW,TOLERANCE", "exact", "model", "iterated" (the model's passes)
 * or "iterated:M+B".
 */
bool parse_prefill(const char *text, struct prefill *prefill);

/* The text that parse_prefill would take. */
struct prefill_text {
    char text[48];
};
struct prefill_text prefill_text(struct prefill prefill);

/* "f16" for both, or "q8_0,q4_0": the type of keys, then that of values. */
bool parse_kv_types(const char *text, struct kv_types *types);

/* The text that parse_kv_types reads. */
struct kv_types_text {
    char text[16];
};
struct kv_types_text kv_types_text(struct kv_types types);

/*
 * Numbers with commas or blanks between them, perhaps in one pair of brackets. False and `errno` 0:
 * malformed; false and ENOMEM: out of memory. The list is replaced only on success.
 */
bool parse_tokens(const char *text, size_t length, struct token_list *tokens);
bool parse_numbers(const char *text, struct number_list *numbers);

/* Reads all of a file, or of standard input if `path` is "-". False: `errno` tells why. */
bool read_whole(const char *path, struct bytes *bytes);

#endif
