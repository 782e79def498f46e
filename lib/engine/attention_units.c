/*
 * How the attention of a layer is shared out. See attention_units.h.
 */
#include "engine/attention_units.h"

#define UNITS_OF_A_THREAD 2 /* if there are fewer, segments become units */

_Static_assert(WINDOWS_MAX_SINKS <= KV_SEGMENT, "sinks lie in one segment");

uint32_t attention_heads_at_once(const struct lckv_model *model, const struct model_layer *layer)
{
    const uint32_t shared = attention_shared(model, layer);
    return shared < KV_MAX_QUERIES ? shared : KV_MAX_QUERIES;
}

struct batch attention_batch(const struct lckv_model *model, const struct row *rows, size_t n_rows,
                             struct slice *slices)
{
    struct batch batch = {.rows = rows, .n_rows = n_rows, .slices = slices, .slices_alone = true};
    uint32_t most = KV_MAX_QUERIES;
    for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
        const uint32_t in_layer =
            KV_MAX_QUERIES / attention_heads_at_once(model, &model->layers[i]);
        most = in_layer < most ? in_layer : most;
    }
    for (size_t m = 0; m < n_rows; m++) {
        struct slice *slice = batch.n_slices > 0 ? &slices[batch.n_slices - 1] : NULL;
        bool same = slice != NULL && rows[slice->first].session == rows[m].session;
        if (same && slice->count < most) {
            slice->count++;
        } else {
            batch.slices_alone = batch.slices_alone && !same;
            slices[batch.n_slices++] = (struct slice){(uint32_t)m, 1};
        }
    }
    return batch;
}

struct span attention_span(const struct pass *pass, const struct batch *batch,
                           const struct model_layer *layer, size_t m)
{
    return window_span(&pass->cache->paging.windows, layer->plan, batch->rows[m].position,
                       pass->model->hparams.force_nodiag);
}

struct span attention_sinks(const struct pass *pass, const struct batch *batch,
                            const struct model_layer *layer, size_t m)
{
    return sink_span(&pass->cache->paging.windows, layer->plan, batch->rows[m].position);
}

bool attention_has_sinks(const struct pass *pass, const struct batch *batch,
                         const struct model_layer *layer, const struct slice *slice)
{
    const struct span last = attention_sinks(pass, batch, layer, slice->first + slice->count - 1);
    return last.begin < last.end;
}

/*
 * Cuts every slice into segments. False if threads gain nothing by that, or the workspace is too
 * small.
 */
static bool cut_slices(const struct pass *pass, const struct batch *batch,
                       const struct model_layer *layer, struct attention_units *units)
{
    uint32_t n_kv_heads = layer->shape->n_kv_heads;
    size_t count = 0, used = 0;
    bool gains = false;
    for (size_t r = 0; r < batch->n_slices; r++) {
        const struct slice *slice = &batch->slices[r];
        struct span first = attention_span(pass, batch, layer, slice->first);
        struct span last = attention_span(pass, batch, layer, slice->first + slice->count - 1);
        uint64_t segment = first.begin / KV_SEGMENT;
        uint64_t beyond = (last.end + KV_SEGMENT - 1) / KV_SEGMENT;
        if (beyond <= segment) /* nothing to attend to: one empty partial */
            beyond = segment + 1;
        if (beyond - segment > MOST_PARTIALS)
            return false;
        gains = gains || beyond - segment > 1;
        units->slices[r].sinks = attention_has_sinks(pass, batch, layer, slice);
        units->slices[r].segment = segment;
        units->slices[r].n_partials = (uint32_t)(beyond - segment) + units->slices[r].sinks;
        units->slices[r].used = used;
        count += (size_t)units->slices[r].n_partials * n_kv_heads;
        used += (size_t)units->slices[r].n_partials * slice->count;
    }
    if (used > MOST_PARTIALS || !gains)
        return false;
    units->count = count;
    return true;
}

struct attention_units attention_units(const struct pass *pass, const struct batch *batch,
                                       const struct model_layer *layer, uint32_t n_threads)
{
    struct attention_units units = {.count = batch->n_slices * layer->shape->n_kv_heads};
    if (pass->few && n_threads > 1 && units.count < (size_t)UNITS_OF_A_THREAD * n_threads)
        units.partials = cut_slices(pass, batch, layer, &units);
    return units;
}

struct attention_unit attention_unit(const struct pass *pass, const struct model_layer *layer,
                                     const struct attention_units *units, size_t index)
{
    const uint32_t n_kv_heads = layer->shape->n_kv_heads;
    struct attention_unit unit = {.begin = 0, .end = UINT64_MAX};
    if (!units->partials) {
        unit.slice = index / n_kv_heads;
        unit.kv_head = (uint32_t)(index % n_kv_heads);
        return unit;
    }
    for (; index >= (size_t)units->slices[unit.slice].n_partials * n_kv_heads; unit.slice++)
        index -= (size_t)units->slices[unit.slice].n_partials * n_kv_heads;
    unit.n_partials = units->slices[unit.slice].n_partials;
    unit.kv_head = (uint32_t)(index / unit.n_partials);
    unit.part = (uint32_t)(index % unit.n_partials);
    unit.sinks = units->slices[unit.slice].sinks && unit.part == 0;
    const uint32_t segment = unit.part - units->slices[unit.slice].sinks;
    unit.begin = unit.sinks ? 0 : (units->slices[unit.slice].segment + segment) * KV_SEGMENT;
    unit.end = unit.sinks ? 0 : unit.begin + KV_SEGMENT;
    unit.partials = pass->workspace->partials + units->slices[unit.slice].used *
                                                    pass->model->hparams.n_heads *
                                                    attend_partial_floats(layer->shape->head_dim);
    return unit;
}
