/*
 * Special ids are the tokens that begin or end a text, end a turn, or pad, and every id that ends
 * generation. A model has them with or without a tokenizer.
 */
#ifndef LCKV_TEXT_SPECIAL_IDS_H
#define LCKV_TEXT_SPECIAL_IDS_H

#include "base/checked.h"
#include "format/checkpoint.h"

#define N_SPECIALS (LCKV_SPECIAL_EOT + 1)
#define MAX_END_TOKENS 256

struct special_ids {
    lckv_token special[N_SPECIALS]; /* by lckv_special; -1: none */
    lckv_token ends[MAX_END_TOKENS];
    size_t n_ends;
};

void special_ids_init(struct special_ids *ids);

/* Adds an id that ends generation, unless it is there or below 0. LCKV_UNSUPPORTED: too many. */
CHECKED lckv_status special_ids_add_end(struct special_ids *ids, lckv_token token);
CHECKED bool special_ids_is_end(const struct special_ids *ids, lckv_token token);

/* Takes over what `ids` lacks from `others`: the special ids that are -1, and all ends. */
CHECKED lckv_status special_ids_complete(struct special_ids *ids, const struct special_ids *others);

/*
 * Reads what the checkpoint says outside of its tokenizer: in generation_config.json and, where
 * that says nothing, config.json, or in the keys of a GGUF file.
 */
CHECKED lckv_status special_ids_read(struct special_ids *ids, const struct checkpoint *checkpoint,
                                     const lckv_allocator *allocator);
CHECKED lckv_status special_ids_read_metadata(struct special_ids *ids,
                                              const struct metadata *metadata);

/* LCKV_BAD_FORMAT, with the key, if a special id of a GGUF file is not below `n_tokens`. */
CHECKED lckv_status special_ids_check(const struct special_ids *ids, uint32_t n_tokens);

/* The key of GGUF metadata that names the token. */
const char *special_ids_key(lckv_special special);

/* Writes keys from which special_ids_read_metadata reads the same ids. */
CHECKED lckv_status special_ids_write(const struct special_ids *ids, struct metadata *metadata);

#endif
