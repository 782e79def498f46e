/*
 * The element types of written tensors. See converter.h.
 */
#include "convert/converter.h"

#include "kernels/blocks.h"
#include "model/roles.h"

/* The sources' element type with the most bits per element, which can hold all of them. */
static lckv_dtype widest_dtype(const struct tensor *const *sources, size_t n_sources)
{
    const struct dtype_info *widest = dtype_info(tensor_matrix_dtype(sources[0]));
    for (size_t s = 1; s < n_sources; s++) {
        const struct dtype_info *info = dtype_info(tensor_matrix_dtype(sources[s]));
        if (info->block_bytes * widest->block_elements > widest->block_bytes * info->block_elements)
            widest = info;
    }
    return widest->dtype;
}

/*
 * Whether the usual mixture of k-quants gives a matrix more bits than its type has: the output
 * matrix, and v and down in the first and last eighth of the layers and in every third between.
 */
static bool has_more_bits(const struct converter *c, enum weight weight, uint32_t layer)
{
    uint32_t n = c->hparams.n_layers, eighth = n / 8;
    if (weight == WEIGHT_OUTPUT || (weight == WEIGHT_TOKEN_EMBEDDING && c->hparams.tie_embeddings))
        return true;
    return (weight == WEIGHT_V || weight == WEIGHT_DOWN) &&
           (layer < eighth || layer >= 7 * n / 8 || (layer - eighth) % 3 == 2);
}

/* The type that takes the place of another where rows are not whole blocks of that. */
static lckv_dtype replacement(lckv_dtype dtype)
{
    switch (dtype) {
    case LCKV_DTYPE_Q4_K:
        return LCKV_DTYPE_Q5_0;
    case LCKV_DTYPE_Q5_K:
        return LCKV_DTYPE_Q5_1;
    case LCKV_DTYPE_Q6_K:
        return LCKV_DTYPE_Q8_0;
    default:
        return LCKV_DTYPE_F16;
    }
}

lckv_dtype converter_choose_dtype(struct converter *c, const struct tensor *const *sources,
                                  size_t n_sources, enum weight weight, uint32_t layer,
                                  const char *name)
{
    if (weight_is_vector(weight))
        return LCKV_DTYPE_F32;
    lckv_dtype dtype = c->options->dtype;
    if (dtype == LCKV_DTYPE_DEFAULT)
        dtype = widest_dtype(sources, n_sources);
    else if (c->options->mixture != 0 && has_more_bits(c, weight, layer))
        dtype = LCKV_DTYPE_Q6_K;
    uint64_t columns = sources[0]->shape[1];
    if (n_sources > 1 && !blocks_can_quantize(dtype)) {
        remark(&c->remarks, "%s: %s can be copied but no mean written, so f16", name,
               dtype_info(dtype)->name);
        dtype = LCKV_DTYPE_F16;
        c->n_kept_f16++;
    }
    for (const struct dtype_info *info;
         columns % (info = dtype_info(dtype))->block_elements != 0;) {
        dtype = replacement(dtype);
        remark(&c->remarks, "%s: blocks of %u do not divide rows of %llu, so not %s but %s", name,
               info->block_elements, (unsigned long long)columns, info->name,
               dtype_info(dtype)->name);
        c->n_kept_f16 += dtype == LCKV_DTYPE_F16;
    }
    return dtype;
}
