/*
 * Attention over the cache. A unit of work is one KV head of one run of rows: the query heads that
 * share the KV head are attended together, so that keys and values are read once for all of them.
 * Where that makes few units, a unit is one segment of the context.
 */
#include "engine/attention.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define UNITS_OF_A_THREAD 2 /* fewer, and segments are shared out too */

/* Query heads of one KV head that one call of the kernel takes. */
static uint32_t heads_at_once(const struct hparams *h)
{
    uint32_t shared = h->n_heads / h->n_kv_heads;
    return shared < KV_MAX_QUERIES ? shared : KV_MAX_QUERIES;
}

void attention_runs(struct pass *pass)
{
    struct workspace *w = pass->workspace;
    uint32_t most = KV_MAX_QUERIES / heads_at_once(&pass->model->hparams);
    pass->n_runs = 0;
    pass->runs_alone = true;
    for (uint32_t m = 0; m < pass->n_rows; m++) {
        struct run *run = pass->n_runs > 0 ? &w->runs[pass->n_runs - 1] : NULL;
        bool same = run != NULL && w->rows[run->first].session == w->rows[m].session;
        if (same && run->count < most) {
            run->count++;
        } else {
            pass->runs_alone = pass->runs_alone && !same;
            w->runs[pass->n_runs++] = (struct run){m, 1};
        }
    }
}

static void store_head(const struct pass *pass, const struct plan_layer *layer, uint32_t m,
                       uint32_t head)
{
    const struct lckv_model *model = pass->model;
    const struct workspace *w = pass->workspace;
    const struct kv_layout *layout = &pass->cache->layout;
    const struct row *row = &w->rows[m];
    size_t head_dim = layout->head_dim, half = head_dim / 2;
    float *k = w->k.values + m * w->k.stride + head * head_dim;
    model->kernels->rotate(k, w->cosines + m * half, w->sines + m * half, 1, head_dim);
    model->kernels->kv_store[layout->type](
        layout, session_page(row->session, (uint32_t)layer->slot, row->position),
        (uint32_t)(row->position % layout->page_positions), head, k,
        w->v.values + m * w->v.stride + head * head_dim);
}

void attention_store(struct task *task, const struct plan_layer *layer)
{
    uint32_t n_kv_heads = task->pass->model->hparams.n_kv_heads;
    struct range share = pool_share(task->worker, task->pass->n_rows * n_kv_heads);
    for (size_t unit = share.begin; unit < share.end; unit++)
        store_head(task->pass, layer, (uint32_t)(unit / n_kv_heads), (uint32_t)(unit % n_kv_heads));
    task_barrier(task);
}

/*
 * How the work of a layer is cut: one unit for each KV head of a run or, where that would be few
 * units and contexts are long, one for each segment of it.
 */
struct cut {
    bool parts;
    size_t n_units;
    uint64_t first[FEW_ROWS];   /* segment of run r; */
    uint32_t n_parts[FEW_ROWS]; /* how many it has; */
    size_t at[FEW_ROWS];        /* and where its rows' parts begin, in parts of one head */
};

static struct plan_span span_of_row(const struct pass *pass, const struct plan_layer *layer,
                                    uint32_t m)
{
    const struct hparams *h = &pass->model->hparams;
    return plan_span(layer, pass->workspace->rows[m].position, h->sliding_window, h->force_nodiag);
}

static struct cut cut_work(const struct pass *pass, const struct plan_layer *layer,
                           uint32_t n_threads)
{
    const struct workspace *w = pass->workspace;
    uint32_t n_kv_heads = pass->model->hparams.n_kv_heads;
    struct cut cut = {.n_units = pass->n_runs * n_kv_heads};
    if (!pass->few || w->parts == NULL || cut.n_units >= (size_t)UNITS_OF_A_THREAD * n_threads)
        return cut;
    size_t n_units = 0, used = 0;
    for (size_t r = 0; r < pass->n_runs; r++) {
        const struct run *run = &w->runs[r];
        struct plan_span first = span_of_row(pass, layer, run->first);
        struct plan_span last = span_of_row(pass, layer, run->first + run->count - 1);
        uint64_t segments = (last.end + KV_SEGMENT - 1) / KV_SEGMENT;
        cut.first[r] = first.begin / KV_SEGMENT;
        if (segments <= cut.first[r]) /* nothing to attend to: one part that says so */
            segments = cut.first[r] + 1;
        if (segments - cut.first[r] > MOST_PARTS)
            return cut;
        cut.n_parts[r] = (uint32_t)(segments - cut.first[r]);
        cut.at[r] = used;
        n_units += (size_t)cut.n_parts[r] * n_kv_heads;
        used += (size_t)cut.n_parts[r] * run->count;
    }
    if (used > MOST_PARTS || n_units == cut.n_units)
        return cut;
    cut.parts = true;
    cut.n_units = n_units;
    return cut;
}

/* A unit of work, or all that is left of it to do. */
struct unit {
    const struct run *run;
    uint32_t kv_head;
    bool is_part;
    uint64_t segment;
    uint32_t index, n_parts; /* of the run's segments */
    float *parts;            /* those of the run */
};

static float *part_of(const struct pass *pass, const struct unit *unit, uint32_t m, uint32_t head,
                      uint32_t index)
{
    const struct hparams *h = &pass->model->hparams;
    size_t query = (size_t)(m - unit->run->first) * h->n_heads + head;
    return unit->parts + (query * unit->n_parts + index) * attend_part_floats(h->head_dim);
}

static void attend_unit(const struct task *task, const struct plan_layer *layer,
                        const struct unit *unit)
{
    const struct pass *pass = task->pass;
    const struct lckv_model *model = pass->model;
    const struct hparams *h = &model->hparams;
    struct workspace *w = pass->workspace;
    const struct run *run = unit->run;
    uint32_t shared = h->n_heads / h->n_kv_heads, at_once = heads_at_once(h);
    const struct lckv_session *session = w->rows[run->first].session;
    const struct slot_pages *slot = &session->slots[layer->source_slot];
    float *rotated = w->rotated + task->worker->index * w->rotated_floats;
    const float *queries[KV_MAX_QUERIES];
    float scale = 1.0f / sqrtf((float)h->head_dim); /* of the scores, for the softmax */
    float *out[KV_MAX_QUERIES];
    uint64_t begin[KV_MAX_QUERIES], end[KV_MAX_QUERIES];
    uint64_t from = unit->segment * KV_SEGMENT;
    for (uint32_t first = 0; first < shared; first += at_once) {
        uint32_t n = 0;
        for (uint32_t m = run->first; m < run->first + run->count; m++) {
            struct plan_span span = span_of_row(pass, layer, m);
            if (unit->is_part) {
                span.begin = span.begin > from ? span.begin : from;
                span.end = span.end < from + KV_SEGMENT ? span.end : from + KV_SEGMENT;
            }
            for (uint32_t i = first; i < first + at_once && i < shared; i++, n++) {
                uint32_t head = unit->kv_head * shared + i;
                float *query = rotated + (size_t)n * h->head_dim;
                memcpy(query, w->q.values + m * w->q.stride + (size_t)head * h->head_dim,
                       h->head_dim * sizeof *query);
                model->kernels->rotate(query, w->cosines + m * (h->head_dim / 2),
                                       w->sines + m * (h->head_dim / 2), scale, h->head_dim);
                queries[n] = query;
                out[n] = unit->is_part ? part_of(pass, unit, m, head, unit->index)
                                       : w->attended.values + m * w->attended.stride +
                                             (size_t)head * h->head_dim;
                begin[n] = span.begin;
                end[n] = span.end;
            }
        }
        struct attend_job job = {.layout = &pass->cache->layout,
                                 .pages = slot->pages,
                                 .first_page = slot->first,
                                 .kv_head = unit->kv_head,
                                 .n_queries = n,
                                 .queries = queries,
                                 .begin = begin,
                                 .end = end,
                                 .out = out,
                                 .parts = unit->is_part,
                                 .scratch =
                                     w->attend_scratch + task->worker->index * w->attend_floats};
        kernels_attend(model->kernels, pass->cache->layout.type,
                       model->precision == LCKV_PRECISION_FAST)(&job);
    }
}

/* Whoever brings a KV head's last part of a run merges them all. */
static void finish_part(const struct task *task, const struct unit *unit, size_t run_index)
{
    const struct pass *pass = task->pass;
    const struct hparams *h = &pass->model->hparams;
    struct workspace *w = pass->workspace;
    uint32_t shared = h->n_heads / h->n_kv_heads;
    _Atomic uint32_t *done = &w->parts_done[run_index * h->n_kv_heads + unit->kv_head];
    if (atomic_fetch_add_explicit(done, 1, memory_order_acq_rel) + 1 < unit->n_parts)
        return;
    atomic_store_explicit(done, 0, memory_order_relaxed); /* for the next layer */
    for (uint32_t m = unit->run->first; m < unit->run->first + unit->run->count; m++) {
        for (uint32_t i = 0; i < shared; i++) {
            uint32_t head = unit->kv_head * shared + i;
            pass->model->kernels->attend_merge(
                part_of(pass, unit, m, head, 0), unit->n_parts, h->head_dim,
                w->attend_scratch + task->worker->index * w->attend_floats,
                w->attended.values + m * w->attended.stride + (size_t)head * h->head_dim);
        }
    }
}

static void attend_part(const struct task *task, const struct plan_layer *layer,
                        const struct cut *cut, size_t index)
{
    const struct hparams *h = &task->pass->model->hparams;
    const struct workspace *w = task->pass->workspace;
    size_t r = 0;
    for (; index >= (size_t)cut->n_parts[r] * h->n_kv_heads; r++)
        index -= (size_t)cut->n_parts[r] * h->n_kv_heads;
    struct unit unit = {.run = &w->runs[r],
                        .kv_head = (uint32_t)(index / cut->n_parts[r]),
                        .is_part = true,
                        .index = (uint32_t)(index % cut->n_parts[r]),
                        .n_parts = cut->n_parts[r],
                        .parts =
                            w->parts + cut->at[r] * h->n_heads * attend_part_floats(h->head_dim)};
    unit.segment = cut->first[r] + unit.index;
    attend_unit(task, layer, &unit);
    finish_part(task, &unit, r);
}

static void attend_whole(const struct task *task, const struct plan_layer *layer, size_t index,
                         bool store)
{
    const struct pass *pass = task->pass;
    uint32_t n_kv_heads = pass->model->hparams.n_kv_heads;
    struct unit unit = {.run = &pass->workspace->runs[index / n_kv_heads],
                        .kv_head = (uint32_t)(index % n_kv_heads)};
    for (uint32_t m = unit.run->first; store && m < unit.run->first + unit.run->count; m++)
        store_head(pass, layer, m, unit.kv_head);
    attend_unit(task, layer, &unit);
}

void attention(struct task *task, const struct plan_layer *layer, bool store)
{
    const struct pass *pass = task->pass;
    struct cut cut = cut_work(pass, layer, task->worker->count);
    /* A unit can store what it then reads only if no other unit reads it in this step. */
    if (store && (cut.parts || !pass->runs_alone)) {
        attention_store(task, layer);
        store = false;
    }
    struct range claim;
    while (task_claim(task, cut.n_units, 1, 1, &claim)) {
        /* From the last run, which attends to the most positions, to the first. */
        size_t index = cut.n_units - 1 - claim.begin;
        if (cut.parts)
            attend_part(task, layer, &cut, index);
        else
            attend_whole(task, layer, index, store);
    }
    task_barrier(task);
}
