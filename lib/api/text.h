/*
 * What the functions over a model's tokenizer share.
 */
#ifndef LCKV_API_TEXT_H
#define LCKV_API_TEXT_H

#include "model/model.h"

/* LCKV_UNSUPPORTED for a model without tokenizer, with the reason why there is none. */
lckv_status text_check_tokenizer(const struct lckv_model *model);

#endif
