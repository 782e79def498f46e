/*
 * The fingerprint of a model: a number that tells whether keys and values belong to it.
 *
 * It covers what they are computed from and with: the shape, the plan, the rotation frequencies,
 * the epsilon of the norms, force_nodiag, all norms and biases, and of each matrix its type, its
 * shape and FINGERPRINT_ROWS rows, evenly spread from the first to the last. It reads weights as
 * numbers, in the order in which the model uses them. So a GGUF file, its packed form for any
 * kernel set and a Hugging Face directory with the same numbers in the same types have the same
 * fingerprint. Names, the tokenizer and other metadata are not covered, nor is what a user chooses
 * when opening the model.
 */
#ifndef LCKV_MODEL_FINGERPRINT_H
#define LCKV_MODEL_FINGERPRINT_H

#include "model/model.h"

#define FINGERPRINT_ROWS 8

/*
 * Computes it when it is first asked for. It is never 0. LCKV_OUT_OF_MEMORY: no room for a row.
 * LCKV_IO: weights that are streamed could not be read.
 */
CHECKED lckv_status model_fingerprint(const struct lckv_model *model, uint64_t *fingerprint);

#endif
