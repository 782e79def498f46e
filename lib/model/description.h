/*
 * What a checkpoint says about a model, apart from its weights: hyperparameters, plan, metadata,
 * tokenizer, and which types its tensors have. This header is for the files that open models.
 */
#ifndef LCKV_MODEL_DESCRIPTION_H
#define LCKV_MODEL_DESCRIPTION_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/model.h"

/* A caller who wants no weights may want all that there is to say about them. */
struct remarks model_remarks(const lckv_model_options *options);

/* Reads hyperparameters and plan, makes the layers, and turns config.json into metadata. */
CHECKED lckv_status model_read_description(struct lckv_model *model,
                                           const lckv_model_options *options);

/*
 * Turns the members of config.json into metadata, so that lckv_model_metadata serves both kinds of
 * checkpoint.
 */
CHECKED lckv_status model_config_to_metadata(struct lckv_model *model);

/*
 * Reads the tokenizer. A model runs without one; text calls then say why there is none. It also
 * runs with a tokenizer of more tokens, the last of which lckv_evaluate refuses, or of fewer, so
 * that the other ids have no text.
 */
CHECKED lckv_status model_read_tokenizer(struct lckv_model *model,
                                         const lckv_model_options *options);

/*
 * Sums up the tensors that the model uses: their element types, such as "q4_1, q8_0, f32", with the
 * most bytes first, and the number of their elements.
 */
CHECKED lckv_status model_summarize_tensors(struct lckv_model *model);

#endif
