/*
 * The metadata of a converted file. See output_metadata.h.
 */
#include "convert/output_metadata.h"

#include "base/status.h"
#include "base/text.h"
#include "model/architecture.h"
#include "text/tokenizer.h"

#include <string.h>

/*
 * The number that GGUF files give to the type of most of their weights. With q4_K and q5_K it also
 * says whether others are q6_K ("medium") or none ("small").
 */
static uint32_t file_type(lckv_dtype dtype, bool has_q6_k)
{
    static const uint32_t numbers[DTYPE_COUNT] = {
        [LCKV_DTYPE_F16] = 1,     [LCKV_DTYPE_Q4_0] = 2,  [LCKV_DTYPE_Q4_1] = 3,
        [LCKV_DTYPE_Q8_0] = 7,    [LCKV_DTYPE_Q5_0] = 8,  [LCKV_DTYPE_Q5_1] = 9,
        [LCKV_DTYPE_Q2_K] = 10,   [LCKV_DTYPE_Q3_K] = 12, [LCKV_DTYPE_Q4_K] = 14,
        [LCKV_DTYPE_Q5_K] = 16,   [LCKV_DTYPE_Q6_K] = 18, [LCKV_DTYPE_IQ4_NL] = 25,
        [LCKV_DTYPE_IQ4_XS] = 30, [LCKV_DTYPE_BF16] = 32, [LCKV_DTYPE_MXFP4] = 38};
    bool has_mixture = dtype == LCKV_DTYPE_Q4_K || dtype == LCKV_DTYPE_Q5_K;
    return numbers[dtype] + (has_mixture && has_q6_k);
}

/*
 * Whether the key describes an architecture or the plan, or how the source is split into files; the
 * new file gets keys of its own. Keys of another architecture than the source's mean nothing there,
 * but might in the new file.
 */
static bool is_replaced(struct text key)
{
    if (text_begins(key, "lckv."))
        return !text_begins(key, "lckv.tokenizer.");
    if (text_begins(key, "split."))
        return true;
    const char *dot = memchr(key.bytes, '.', key.length);
    struct text prefix = {key.bytes, dot != NULL ? (size_t)(dot - key.bytes) : 0};
    return architecture_from_gguf(prefix) != NULL || text_equals(key, "general.architecture");
}

/* Takes over everything but what describes the old architecture. */
static lckv_status copy_metadata(const struct checkpoint *in, struct metadata *metadata)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < in->metadata.n_values; i++) {
        const struct metadata_value *value = &in->metadata.values[i];
        if (!is_replaced(value->key))
            status = metadata_set_value(metadata, value);
    }
    return status;
}

/* The type that most elements of the matrices have, and the number that stands for it. */
static lckv_dtype main_dtype(const struct gguf_tensor *tensors, size_t n_tensors, uint32_t *number)
{
    uint64_t n_elements[DTYPE_COUNT] = {0};
    lckv_dtype most = LCKV_DTYPE_F32;
    for (size_t i = 0; i < n_tensors; i++) {
        if (tensors[i].n_dims == 2)
            n_elements[tensors[i].dtype] += tensors[i].shape[0] * tensors[i].shape[1];
    }
    for (lckv_dtype dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        if (n_elements[dtype] > n_elements[most])
            most = dtype;
    }
    *number = file_type(most, n_elements[LCKV_DTYPE_Q6_K] > 0);
    return most;
}

/* A tokenizer that is not understood is left out: a model opens without one, too. */
static lckv_status describe_text(const struct checkpoint *in, uint32_t n_vocab,
                                 const struct remarks *remarks, const lckv_allocator *allocator,
                                 struct metadata *metadata)
{
    struct tokenizer *tokenizer = NULL;
    struct special_ids ids;
    lckv_status status = special_ids_read(&ids, in, allocator);
    if (status != LCKV_OK)
        return status;
    status = tokenizer_create(in, allocator, &tokenizer);
    if (status == LCKV_UNSUPPORTED || status == LCKV_BAD_FORMAT) {
        fail_in(status, "written without its tokenizer");
        remark(remarks, "%s", status_message());
        status = LCKV_OK;
    }
    if (status != LCKV_OK)
        return status;
    if (tokenizer == NULL)
        return special_ids_write(&ids, metadata);
    status = tokenizer_extend(tokenizer, n_vocab, &ids);
    if (status == LCKV_OK)
        status = tokenizer_to_metadata(tokenizer, metadata);
    tokenizer_release(tokenizer);
    return status;
}

lckv_status output_metadata(const struct checkpoint *in, const struct hparams *hparams,
                            const struct lckv_plan *plan, const struct gguf_tensor *tensors,
                            size_t n_tensors, const struct remarks *remarks,
                            const lckv_allocator *allocator, struct metadata *metadata)
{
    uint32_t number;
    lckv_dtype dtype = main_dtype(tensors, n_tensors, &number);
    lckv_status status = hparams_to_metadata(hparams, plan, metadata);
    if (status == LCKV_OK && in->kind == CHECKPOINT_GGUF)
        status = copy_metadata(in, metadata);
    else if (status == LCKV_OK)
        status = describe_text(in, hparams->n_vocab, remarks, allocator, metadata);
    if (status == LCKV_OK)
        status = metadata_set_u32(metadata, "general.file_type", number);
    if (status == LCKV_OK && dtype_info(dtype)->block_elements > 1)
        status = metadata_set_u32(metadata, "general.quantization_version", 2);
    return status;
}
