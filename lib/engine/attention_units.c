/*
 * How the attention of a layer is shared out. See attention_units.h.
 */
#include "engine/attention_units.h"

#define UNITS_OF_A_THREAD 2 /* fewer, and segments are shared out too */

uint32_t attention_heads_at_once(const struct hparams *h)
{
    uint32_t shared = h->n_heads / h->n_kv_heads;
    return shared < KV_MAX_QUERIES ? shared : KV_MAX_QUERIES;
}

struct batch attention_batch(const struct lckv_model *model, const struct row *rows, size_t n_rows,
                             struct run *runs)
{
    struct batch batch = {.rows = rows, .n_rows = n_rows, .runs = runs, .runs_alone = true};
    uint32_t most = KV_MAX_QUERIES / attention_heads_at_once(&model->hparams);
    for (size_t m = 0; m < n_rows; m++) {
        struct run *run = batch.n_runs > 0 ? &runs[batch.n_runs - 1] : NULL;
        bool same = run != NULL && rows[run->first].session == rows[m].session;
        if (same && run->count < most) {
            run->count++;
        } else {
            batch.runs_alone = batch.runs_alone && !same;
            runs[batch.n_runs++] = (struct run){(uint32_t)m, 1};
        }
    }
    return batch;
}

struct plan_span attention_span(const struct pass *pass, const struct batch *batch,
                                const struct plan_layer *layer, size_t m)
{
    const struct hparams *h = &pass->model->hparams;
    return plan_span(layer, batch->rows[m].position, h->sliding_window, h->force_nodiag);
}

/* Every run in segments; false if threads gain nothing by that, or the workspace is too small. */
static bool cut_runs(const struct pass *pass, const struct batch *batch,
                     const struct plan_layer *layer, struct attention_units *units)
{
    uint32_t n_kv_heads = pass->model->hparams.n_kv_heads;
    size_t count = 0, used = 0;
    for (size_t r = 0; r < batch->n_runs; r++) {
        const struct run *run = &batch->runs[r];
        struct plan_span first = attention_span(pass, batch, layer, run->first);
        struct plan_span last = attention_span(pass, batch, layer, run->first + run->count - 1);
        uint64_t segment = first.begin / KV_SEGMENT;
        uint64_t beyond = (last.end + KV_SEGMENT - 1) / KV_SEGMENT;
        if (beyond <= segment) /* nothing to attend to: one part that says so */
            beyond = segment + 1;
        if (beyond - segment > MOST_PARTS)
            return false;
        units->runs[r].segment = segment;
        units->runs[r].n_parts = (uint32_t)(beyond - segment);
        units->runs[r].used = used;
        count += (size_t)units->runs[r].n_parts * n_kv_heads;
        used += (size_t)units->runs[r].n_parts * run->count;
    }
    if (used > MOST_PARTS || count == units->count)
        return false;
    units->count = count;
    return true;
}

struct attention_units attention_units(const struct pass *pass, const struct batch *batch,
                                       const struct plan_layer *layer, uint32_t n_threads)
{
    struct attention_units units = {.count = batch->n_runs * pass->model->hparams.n_kv_heads};
    if (pass->few && n_threads > 1 && units.count < (size_t)UNITS_OF_A_THREAD * n_threads)
        units.parts = cut_runs(pass, batch, layer, &units);
    return units;
}

struct attention_unit attention_unit(const struct pass *pass, const struct attention_units *units,
                                     size_t index)
{
    const struct hparams *h = &pass->model->hparams;
    struct attention_unit unit = {.begin = 0, .end = UINT64_MAX};
    if (!units->parts) {
        unit.run = index / h->n_kv_heads;
        unit.kv_head = (uint32_t)(index % h->n_kv_heads);
        return unit;
    }
    for (; index >= (size_t)units->runs[unit.run].n_parts * h->n_kv_heads; unit.run++)
        index -= (size_t)units->runs[unit.run].n_parts * h->n_kv_heads;
    unit.n_parts = units->runs[unit.run].n_parts;
    unit.kv_head = (uint32_t)(index / unit.n_parts);
    unit.part = (uint32_t)(index % unit.n_parts);
    unit.begin = (units->runs[unit.run].segment + unit.part) * KV_SEGMENT;
    unit.end = unit.begin + KV_SEGMENT;
    unit.parts = pass->workspace->parts +
                 units->runs[unit.run].used * h->n_heads * attend_part_floats(h->head_dim);
    return unit;
}
