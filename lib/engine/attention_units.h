/*
 * How the attention of a layer is shared out among the workers. A unit is one KV head of one slice:
 * the query heads that share the KV head are attended together, so that keys and values are read
 * once for all of them. Where that makes few units and contexts are long, a unit is one segment of
 * the context, and the partials of a slice are merged in order.
 *
 * Once the context window of a session has moved on, its queries also attend to the sinks, rotated
 * for another position (docs/semantics.md, section 7). The sinks then are a partial of their own,
 * which comes first.
 */
#ifndef LCKV_ENGINE_ATTENTION_UNITS_H
#define LCKV_ENGINE_ATTENTION_UNITS_H

#include "engine/pass.h"

/* All units of a layer. */
struct attention_units {
    size_t count;
    bool partials; /* each unit is one segment; `slices` are set then */
    struct {
        bool sinks;          /* whether its first partial is that of the sinks */
        uint64_t segment;    /* its first segment */
        uint32_t n_partials; /* the segments that it attends to, and the sinks */
        size_t used;         /* partials of one head that the slices before it take */
    } slices[FEW_ROWS];
};

struct attention_unit {
    size_t slice; /* of the batch */
    uint32_t kv_head;
    bool sinks;                /* it takes the sinks; else, */
    uint64_t begin, end;       /* these positions */
    uint32_t part, n_partials; /* which partial of the slice; n_partials 0: all at once */
    float *partials;           /* the slice's, [rows, n_heads, n_partials, attend_partial_floats] */
};

/* The query heads that share a KV head in the layer, and how many of them one call takes. */
static inline uint32_t attention_shared(const struct lckv_model *model,
                                        const struct model_layer *layer)
{
    return model->hparams.n_heads / layer->shape->n_kv_heads;
}

uint32_t attention_heads_at_once(const struct lckv_model *model, const struct model_layer *layer);

/* Groups the rows into slices, for which `slices` has room. */
struct batch attention_batch(const struct lckv_model *model, const struct row *rows, size_t n_rows,
                             struct slice *slices);

/* The positions that row m attends to in the layer, without the sinks; and the sinks. */
struct span attention_span(const struct pass *pass, const struct batch *batch,
                           const struct model_layer *layer, size_t m);
struct span attention_sinks(const struct pass *pass, const struct batch *batch,
                            const struct model_layer *layer, size_t m);

/* Whether any row of the slice attends to sinks. */
bool attention_has_sinks(const struct pass *pass, const struct batch *batch,
                         const struct model_layer *layer, const struct slice *slice);

/* Cuts the attention of a layer into units, in the same way for every worker. */
struct attention_units attention_units(const struct pass *pass, const struct batch *batch,
                                       const struct model_layer *layer, uint32_t n_threads);

struct attention_unit attention_unit(const struct pass *pass, const struct model_layer *layer,
                                     const struct attention_units *units, size_t index);

#endif
