/*
 * Attention over the cache, unit by unit.
 */
#include "engine/attention.h"

#include "engine/attention_units.h"
#include "engine/linear.h"
#include "engine/movement.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Bytes of the next matrix that a worker prefetches: half of a 1 MiB L2; the keys need the rest. */
#define NEXT_BYTES ((size_t)512 << 10)

/* Rotates a head in place, and scales it. */
static void rotate(const struct lckv_model *model, const struct model_layer *layer,
                   struct rotation rotation, float scale, float *head)
{
    const struct rope *rope = layer->rope;
    const size_t n_rotated = 2 * (size_t)rope->n_pairs;
    model->kernels->rotate(head, rotation.cosines + rope->first, rotation.sines + rope->first,
                           scale, n_rotated);
    for (size_t d = n_rotated; d < layer->shape->head_dim; d++)
        head[d] *= scale;
}

/* The RMS norm that a recipe may have for each head of q, k or v, in place. */
static void norm_head(const struct lckv_model *model, const struct linear *linear, size_t head_dim,
                      float *head)
{
    if (linear->norm != NULL)
        model->kernels->rms_norm(head, linear->norm, model->hparams.rms_norm_eps, head_dim, head);
}

static void store_head(const struct task *task, const struct model_layer *layer, size_t m,
                       uint32_t head)
{
    const struct pass *pass = task->pass;
    const struct lckv_model *model = pass->model;
    const struct workspace *w = pass->workspace;
    const struct kv_layout *layout = &pass->cache->layouts[layer->shape->kv_shape];
    const struct row *row = &task->batch->rows[m];
    const size_t head_dim = layout->head_dim;
    float *k = w->k.values + m * w->k.stride + head * head_dim;
    float *v = w->v.values + m * w->v.stride + head * head_dim;
    norm_head(model, &layer->k, head_dim, k);
    norm_head(model, &layer->v, head_dim, v);
    rotate(model, layer, workspace_rotation(w, m), 1, k);
    if (pass->measures)
        movement_store(task, layer, m, head, k, v);
    else
        model->kernels->kv_store(
            layout, session_page(row->session, (uint32_t)layer->plan->slot, row->position),
            (uint32_t)(row->position % layout->page_positions), head, k, v);
}

void attention_store(struct task *task, const struct model_layer *layer)
{
    uint32_t n_kv_heads = layer->shape->n_kv_heads;
    struct step step = step_begin(task, task->batch->n_rows * n_kv_heads, 1, SIZE_MAX);
    struct range heads;
    while (step_claim(&step, &heads)) {
        for (size_t i = heads.begin; i < heads.end; i++)
            store_head(task, layer, i / n_kv_heads, (uint32_t)(i % n_kv_heads));
    }
    step_end(&step);
}

/* Row m's partial for one segment of the unit's slice. */
static float *partial_of(const struct task *task, const struct model_layer *layer,
                         const struct attention_unit *unit, size_t m, uint32_t head, uint32_t part)
{
    const uint32_t n_heads = task->pass->model->hparams.n_heads;
    size_t query = (m - task->batch->slices[unit->slice].first) * n_heads + head;
    return unit->partials +
           (query * unit->n_partials + part) * attend_partial_floats(layer->shape->head_dim);
}

static float *attended_head(const struct pass *pass, const struct model_layer *layer, size_t m,
                            uint32_t head)
{
    const struct buffer *attended = &pass->workspace->attended;
    return attended->values + m * attended->stride + (size_t)head * layer->shape->head_dim;
}

static void rotated_query(const struct pass *pass, const struct model_layer *layer, size_t m,
                          uint32_t head, struct rotation rotation, float *query)
{
    const struct workspace *w = pass->workspace;
    uint32_t head_dim = layer->shape->head_dim;
    const float own_scale = pass->model->hparams.scales[SCALE_ATTENTION];
    const float scale = own_scale != 0 ? own_scale : 1.0f / sqrtf((float)head_dim); /* of scores */
    memcpy(query, w->q.values + m * w->q.stride + (size_t)head * head_dim,
           head_dim * sizeof *query);
    norm_head(pass->model, &layer->q, head_dim, query);
    rotate(pass->model, layer, rotation, scale, query);
}

static struct span intersection(struct span a, struct span b)
{
    return (struct span){a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
}

/* What one call of the kernel takes: query heads of a KV head, for the rows of the unit's slice. */
struct heads {
    uint32_t first, count; /* of those that share the KV head */
    bool sinks;            /* they attend to the sinks; else, to the unit's positions, */
    bool behind_sinks;     /* to be merged behind the worker's partials of the sinks */
};

static void attend_heads(const struct task *task, const struct model_layer *layer,
                         const struct attention_unit *unit, struct heads heads,
                         struct weights_bytes next)
{
    const struct pass *pass = task->pass;
    const struct lckv_model *model = pass->model;
    const uint32_t head_dim = layer->shape->head_dim;
    const struct workspace *w = pass->workspace;
    const struct slice *slice = &task->batch->slices[unit->slice];
    const struct slot_pages *slot =
        &task->batch->rows[slice->first].session->slots[layer->plan->source_slot];
    const uint32_t first_head = unit->kv_head * attention_shared(model, layer) + heads.first;
    float *rotated = w->rotated + task->worker->index * w->rotated_floats;
    float *sink_partials = /* none without sinks */
        w->sink_floats > 0 ? w->sink_partials + task->worker->index * w->sink_floats : NULL;
    const float *queries[KV_MAX_QUERIES];
    float *out[KV_MAX_QUERIES];
    uint64_t begin[KV_MAX_QUERIES], end[KV_MAX_QUERIES];
    struct attend_job job = {.layout = &pass->cache->layouts[layer->shape->kv_shape],
                             .base = pass->cache->pages.base,
                             .pages = slot->ids,
                             .first_page = heads.sinks ? 0 : slot->gap,
                             .kv_head = unit->kv_head,
                             .queries = queries,
                             .begin = begin,
                             .end = end,
                             .out = out,
                             .partials = heads.sinks || unit->n_partials > 0,
                             .before = heads.behind_sinks ? sink_partials : NULL,
                             .scratch = w->attend_scratch + task->worker->index * w->attend_floats,
                             .next = next.at,
                             .next_bytes = next.n};
    for (uint32_t m = slice->first; m < slice->first + slice->count; m++) {
        const struct rotation rotation = heads.sinks ? w->sink_rotation : workspace_rotation(w, m);
        const struct span span = heads.sinks
                                     ? attention_sinks(pass, task->batch, layer, m)
                                     : intersection(attention_span(pass, task->batch, layer, m),
                                                    (struct span){unit->begin, unit->end});
        for (uint32_t i = 0; i < heads.count; i++, job.n_queries++) {
            const uint32_t n = job.n_queries, head = first_head + i;
            float *query = rotated + (size_t)n * head_dim;
            rotated_query(pass, layer, m, head, rotation, query);
            queries[n] = query;
            if (unit->n_partials > 0)
                out[n] = partial_of(task, layer, unit, m, head, unit->part);
            else if (heads.sinks)
                out[n] = sink_partials + n * attend_partial_floats(head_dim);
            else
                out[n] = attended_head(pass, layer, m, head);
            begin[n] = span.begin;
            end[n] = span.end;
        }
    }
    attend_function attend = model->precision == LCKV_PRECISION_FAST ? model->kernels->attend_fast
                                                                     : model->kernels->attend_full;
    attend(&job);
}

/* Computes one unit; `next` is fetched meanwhile. */
static void attend_unit(const struct task *task, const struct model_layer *layer,
                        const struct attention_unit *unit, struct weights_bytes next)
{
    const struct lckv_model *model = task->pass->model;
    const struct slice *slice = &task->batch->slices[unit->slice];
    const uint32_t shared = attention_shared(model, layer);
    const uint32_t at_once = attention_heads_at_once(model, layer);
    const struct weights_bytes nothing = {NULL, 0};
    const bool sinks_first =
        unit->n_partials == 0 && attention_has_sinks(task->pass, task->batch, layer, slice);
    for (uint32_t first = 0; first < shared; first += at_once) {
        const bool last = first + at_once >= shared; /* another call would displace the lines */
        struct heads heads = {.first = first, .count = last ? shared - first : at_once};
        if (sinks_first) {
            heads.sinks = true;
            attend_heads(task, layer, unit, heads, nothing);
        }
        heads.sinks = unit->sinks;
        heads.behind_sinks = sinks_first;
        attend_heads(task, layer, unit, heads, last ? next : nothing);
    }
}

/* The worker that finishes the last partial of a KV head of a slice merges all of them. */
static void finish_partial(const struct task *task, const struct model_layer *layer,
                           const struct attention_unit *unit)
{
    const struct pass *pass = task->pass;
    const struct layer_hparams *shape = layer->shape;
    const struct workspace *w = pass->workspace;
    const struct slice *slice = &task->batch->slices[unit->slice];
    const uint32_t shared = attention_shared(pass->model, layer);
    _Atomic uint32_t *done = &w->partials_done[unit->slice * shape->n_kv_heads + unit->kv_head];
    if (atomic_fetch_add_explicit(done, 1, memory_order_acq_rel) + 1 < unit->n_partials)
        return;
    atomic_store_explicit(done, 0, memory_order_relaxed); /* for the next layer */
    float *scratch = w->attend_scratch + task->worker->index * w->attend_floats;
    for (uint32_t m = slice->first; m < slice->first + slice->count; m++) {
        for (uint32_t head = unit->kv_head * shared; head < (unit->kv_head + 1) * shared; head++)
            pass->model->kernels->attend_merge(partial_of(task, layer, unit, m, head, 0),
                                               unit->n_partials, shape->head_dim, scratch,
                                               attended_head(pass, layer, m, head));
    }
}

/*
 * The part of the next matrix that is fetched with the unit that the worker has claimed: as much as
 * its positions give time for, if all units of the worker's share are like this one. The units at
 * the end of the share fetch it all, since lines that came long before would be displaced.
 */
static struct weights_bytes next_of_unit(const struct task *task, const struct model_layer *layer,
                                         const struct attention_unit *unit, struct range share,
                                         size_t claimed, const struct weights_bytes *next)
{
    if (next->n == 0 || claimed < share.begin || claimed >= share.end)
        return (struct weights_bytes){NULL, 0};
    size_t behind = share.end - 1 - claimed;
    const struct span span = intersection(
        attention_span(task->pass, task->batch, layer, task->batch->slices[unit->slice].first),
        (struct span){unit->begin, unit->end});
    size_t most =
        span.end > span.begin ? (size_t)((span.end - span.begin) / KV_TILE) * ATTEND_NEXT_BYTES : 0;
    size_t all = (share.end - share.begin) * most;
    all = next->n < all ? next->n : all;
    size_t last = all > behind * most ? all - behind * most : 0;
    size_t first = last > most ? last - most : 0;
    return (struct weights_bytes){next->at + first, last - first};
}

/*
 * Whether a unit may store keys and values in the same step in which others are read. It must store
 * all that it reads itself, and what it stores must not be read by other units: kernels load values
 * in whole steps of 32 columns and read beyond the end of a head unless head_dim is a multiple of
 * that.
 */
static bool stores_itself(const struct task *task, const struct model_layer *layer,
                          const struct attention_units *units)
{
    const size_t head_dim = layer->shape->head_dim;
    return !units->partials && task->batch->slices_alone &&
           attend_head_floats(head_dim) == head_dim;
}

static void attend(const struct task *task, const struct model_layer *layer, bool store,
                   const struct attention_unit *unit, struct weights_bytes next)
{
    const struct slice *slice = &task->batch->slices[unit->slice];
    for (size_t m = slice->first; store && m < slice->first + slice->count; m++)
        store_head(task, layer, m, unit->kv_head);
    attend_unit(task, layer, unit, next);
    if (unit->n_partials > 0)
        finish_partial(task, layer, unit);
}

void attention(struct task *task, const struct model_layer *layer, bool store,
               const struct matrix *next)
{
    const struct pass *pass = task->pass;
    struct attention_units units = attention_units(pass, task->batch, layer, task->worker->count);
    bool store_here = store && stores_itself(task, layer, &units);
    if (store && !store_here)
        attention_store(task, layer);
    const struct weights_bytes first = linear_first_weights(task, next, pass->few ? NEXT_BYTES : 0);
    const struct range share = task_own(task, units.count, 1);
    struct step step = step_begin(task, units.count, 1, 1);
    struct range claim;
    while (step_claim(&step, &claim)) {
        for (size_t i = claim.begin; i < claim.end; i++) {
            /* Goes from the last slice, which attends to the most positions, to the first. */
            struct attention_unit unit = attention_unit(pass, layer, &units, units.count - 1 - i);
            attend(task, layer, store_here, &unit,
                   next_of_unit(task, layer, &unit, share, i, &first));
        }
    }
    step_end(&step);
}
