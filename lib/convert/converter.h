/*
 * The state of a conversion.
 */
#ifndef LCKV_CONVERT_CONVERTER_H
#define LCKV_CONVERT_CONVERTER_H

#include "base/checked.h"
#include "base/remark.h"
#include "convert/rows.h"
#include "model/hparams.h"
#include "model/weights.h"

struct converter {
    const lckv_convert_options *options;
    struct remarks remarks;
    struct matrix_layout layout; /* matrices are packed in it; lanes 0: they are not packed */
    bool same_plan;              /* the new plan reads what the old one reads */
    lckv_allocator allocator;
    struct arena arena;
    struct checkpoint in;
    struct hparams hparams;
    struct lckv_plan *old_plan, *plan;
    struct metadata metadata;
    struct gguf_tensor *tensors;
    struct rows *rows; /* where the data of tensors[i] come from */
    size_t n_tensors;
    uint64_t n_kept_f16, done, total;
};

/*
 * Chooses the element type that a tensor is written in, which comes from `n_sources` tensors. The
 * `name` is for remarks.
 */
CHECKED lckv_dtype converter_choose_dtype(struct converter *c, const struct tensor *const *sources,
                                          size_t n_sources, enum weight weight, uint32_t layer,
                                          const char *name);

/* Fills in tensors and rows, in the order of the file, and the total. */
CHECKED lckv_status converter_list_tensors(struct converter *c);

#endif
