/*
 * lckv_detokenizer_*: the streaming detokenizer as a handle that holds its model.
 */
#include "api/options.h"
#include "model/model.h"
#include "text/detokenizer.h"

#include <stdatomic.h>

static lckv_status create(const struct lckv_model *model, uint32_t flags,
                          struct lckv_detokenizer **result)
{
    struct lckv_detokenizer *detokenizer;
    lckv_status status = argument_flags("lckv_detokenizer_create", flags,
                                        LCKV_DETOKENIZE_SPECIAL | LCKV_DETOKENIZE_CONTINUES);
    if (status == LCKV_OK)
        status = model_check_tokenizer(model);
    if (status == LCKV_OK)
        status =
            memory_alloc(&model->allocator, 1, sizeof *detokenizer, "a detokenizer", &detokenizer);
    if (status != LCKV_OK)
        return status;
    detokenizer_init(detokenizer, model->tokenizer, flags, &model->allocator);
    atomic_init(&detokenizer->references, 1);
    model_retain(model);
    detokenizer->model = model;
    *result = detokenizer;
    return LCKV_OK;
}

lckv_status lckv_detokenizer_create(const lckv_model *model, uint32_t flags,
                                    lckv_detokenizer **detokenizer)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    if (detokenizer == NULL)
        return failure_keep(model->failure, argument_null(__func__, "detokenizer"));
    return failure_keep(model->failure, create(model, flags, detokenizer));
}

void lckv_detokenizer_retain(lckv_detokenizer *detokenizer)
{
    if (detokenizer != NULL)
        atomic_fetch_add_explicit(&detokenizer->references, 1, memory_order_relaxed);
}

void lckv_detokenizer_release(lckv_detokenizer *detokenizer)
{
    if (detokenizer == NULL ||
        atomic_fetch_sub_explicit(&detokenizer->references, 1, memory_order_acq_rel) != 1)
        return;
    const struct lckv_model *model = detokenizer->model;
    detokenizer_release(detokenizer);
    memory_free(&model->allocator, detokenizer, 1, sizeof *detokenizer);
    model_release(model);
}

lckv_status lckv_detokenizer_push(lckv_detokenizer *detokenizer, lckv_token token,
                                  const char **text, size_t *length)
{
    if (detokenizer == NULL)
        return argument_null(__func__, "detokenizer");
    struct failure *failure = detokenizer->model->failure;
    if (text == NULL)
        return failure_keep(failure, argument_null(__func__, "text"));
    if (length == NULL)
        return failure_keep(failure, argument_null(__func__, "length"));
    struct text ready;
    lckv_status status = detokenizer_push(detokenizer, token, &ready);
    if (status != LCKV_OK)
        return failure_keep(failure, status);
    *text = ready.length > 0 ? ready.bytes : "";
    *length = ready.length;
    return LCKV_OK;
}

lckv_status lckv_detokenizer_flush(lckv_detokenizer *detokenizer, const char **text, size_t *length)
{
    if (detokenizer == NULL)
        return argument_null(__func__, "detokenizer");
    struct failure *failure = detokenizer->model->failure;
    if (text == NULL)
        return failure_keep(failure, argument_null(__func__, "text"));
    if (length == NULL)
        return failure_keep(failure, argument_null(__func__, "length"));
    struct text rest = detokenizer_flush(detokenizer);
    *text = rest.length > 0 ? rest.bytes : "";
    *length = rest.length;
    return LCKV_OK;
}
