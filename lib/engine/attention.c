/*
 * Attention over the cache. A unit of work is one KV head of one run of rows: the query heads that
 * share the KV head are attended together, so that keys and values are read once for all of them.
 */
#include "engine/attention.h"

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
    for (uint32_t m = 0; m < pass->n_rows; m++) {
        struct run *run = pass->n_runs > 0 ? &w->runs[pass->n_runs - 1] : NULL;
        if (run != NULL && run->count < most && w->rows[run->first].session == w->rows[m].session)
            run->count++;
        else
            w->runs[pass->n_runs++] = (struct run){m, 1};
    }
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
    float *out[KV_MAX_QUERIES];
    uint64_t begin[KV_MAX_QUERIES], end[KV_MAX_QUERIES];
    for (uint32_t first = 0; first < shared; first += at_once) {
        uint32_t n = 0;
        for (uint32_t m = run->first; m < run->first + run->count; m++) {
            struct plan_span span =
                plan_span(layer, w->rows[m].position, h->sliding_window, h->force_nodiag);
            for (uint32_t i = first; i < first + at_once && i < shared; i++, n++) {
                size_t at = (size_t)(kv_head * shared + i) * h->head_dim;
                queries[n] = w->q.values + m * w->q.stride + at;
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
        model->kernels->attend[pass->cache->layout.type](&job);
    }
}

void attention(const struct worker *worker, const struct pass *pass, const struct plan_layer *layer)
{
    struct workspace *w = pass->workspace;
    uint32_t n_kv_heads = pass->model->hparams.n_kv_heads;
    float *scratch = w->attend_scratch + worker->index * w->attend_floats;
    /* Later runs attend to more positions: dealing units in turn evens the workers out. */
    for (size_t unit = worker->index; unit < pass->n_runs * n_kv_heads; unit += worker->count)
        attend_run(pass, layer, &w->runs[unit / n_kv_heads], (uint32_t)(unit % n_kv_heads),
                   scratch);
}
