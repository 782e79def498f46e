/*
 * Attention over the cache. A unit of work is one KV head of one run of rows: the query heads that
 * share the KV head are attended together, so that keys and values are read once for all of them.
 */
#include "engine/attention.h"

#include <math.h>

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

static void attend_run(const struct pass *pass, const struct plan_layer *layer,
                       const struct run *run, uint32_t kv_head, float *scratch)
{
    const struct lckv_model *model = pass->model;
    const struct hparams *h = &model->hparams;
    struct workspace *w = pass->workspace;
    uint32_t shared = h->n_heads / h->n_kv_heads, at_once = heads_at_once(h);
    const struct lckv_session *session = w->rows[run->first].session;
    const struct slot_pages *slot = &session->slots[layer->source_slot];
    const float *queries[KV_MAX_QUERIES];
    float scale = 1.0f / sqrtf((float)h->head_dim); /* of the scores, for the softmax */
    float *out[KV_MAX_QUERIES];
    uint64_t begin[KV_MAX_QUERIES], end[KV_MAX_QUERIES];
    for (uint32_t first = 0; first < shared; first += at_once) {
        uint32_t n = 0;
        for (uint32_t m = run->first; m < run->first + run->count; m++) {
            struct plan_span span =
                plan_span(layer, w->rows[m].position, h->sliding_window, h->force_nodiag);
            for (uint32_t i = first; i < first + at_once && i < shared; i++, n++) {
                size_t at = (size_t)(kv_head * shared + i) * h->head_dim;
                float *query = w->q.values + m * w->q.stride + at;
                model->kernels->rotate(query, w->cosines + m * (h->head_dim / 2),
                                       w->sines + m * (h->head_dim / 2), scale, h->head_dim);
                queries[n] = query;
                out[n] = w->attended.values + m * w->attended.stride + at;
                begin[n] = span.begin;
                end[n] = span.end;
            }
        }
        struct attend_job job = {.layout = &pass->cache->layout,
                                 .pages = slot->pages,
                                 .first_page = slot->first,
                                 .kv_head = kv_head,
                                 .n_queries = n,
                                 .queries = queries,
                                 .begin = begin,
                                 .end = end,
                                 .out = out,
                                 .scratch = scratch};
        kernels_attend(model->kernels, pass->cache->layout.type,
                       model->precision == LCKV_PRECISION_FAST)(&job);
    }
}

void attention(struct task *task, const struct plan_layer *layer, bool store)
{
    struct pass *pass = task->pass;
    struct workspace *w = pass->workspace;
    uint32_t n_kv_heads = pass->model->hparams.n_kv_heads;
    float *scratch = w->attend_scratch + task->worker->index * w->attend_floats;
    /* A unit can store what it then reads only if no other unit reads it in this step. */
    if (store && !pass->runs_alone) {
        attention_store(task, layer);
        store = false;
    }
    struct range claim;
    while (task_claim(task, pass->n_runs * n_kv_heads, 1, 1, &claim)) {
        /* From the last run, which attends to the most positions, to the first. */
        size_t unit = pass->n_runs * n_kv_heads - 1 - claim.begin;
        const struct run *run = &w->runs[unit / n_kv_heads];
        uint32_t head = (uint32_t)(unit % n_kv_heads);
        for (uint32_t m = run->first; store && m < run->first + run->count; m++)
            store_head(pass, layer, m, head);
        attend_run(pass, layer, run, head, scratch);
    }
    task_barrier(task);
}
