/*
 * The forward pass. Every worker runs the same code on its share of the rows or of the weight rows,
 * with a barrier wherever one step reads what another worker wrote in the step before.
 */
#include "engine/forward.h"

#include "base/status.h"
#include "engine/attention.h"
#include "engine/linear.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Positions become angles in double: in float they would be off by far at long contexts. */
static void rotations(const struct pass *pass, size_t m)
{
    const struct hparams *h = &pass->model->hparams;
    struct workspace *w = pass->workspace;
    size_t half = h->head_dim / 2;
    for (size_t d = 0; d < half; d++) {
        double angle = (double)w->rows[m].position * pass->model->frequencies[d];
        w->cosines[m * half + d] = (float)cos(angle);
        w->sines[m * half + d] = (float)sin(angle);
    }
}

static void embed(const struct worker *worker, const struct pass *pass)
{
    struct workspace *w = pass->workspace;
    struct range share = pool_share(worker, pass->n_rows);
    for (size_t m = share.begin; m < share.end; m++) {
        matrix_unpack_row(&pass->model->token_embedding, (uint32_t)w->rows[m].token,
                          w->hidden.values + m * w->hidden.stride);
        rotations(pass, m);
    }
}

/* x = norm(hidden), ready for the products that `readers` name. */
static void norm_rows(const struct worker *worker, const struct pass *pass, const float *weight,
                      bool quantized)
{
    const struct lckv_model *model = pass->model;
    struct workspace *w = pass->workspace;
    struct range share = pool_share(worker, pass->n_rows);
    for (size_t m = share.begin; m < share.end; m++)
        model->kernels->rms_norm(w->hidden.values + m * w->hidden.stride, weight,
                                 model->hparams.rms_norm_eps, model->hparams.hidden_size,
                                 w->x.values + m * w->x.stride);
    if (quantized)
        linear_quantize(pass, &w->x, share);
}

static void rotate_heads(const struct pass *pass, const struct block *block, uint32_t n_heads,
                         struct range share)
{
    struct workspace *w = pass->workspace;
    size_t head_dim = pass->model->hparams.head_dim;
    for (size_t m = share.begin; m < share.end; m++)
        pass->model->kernels->rotate(block->values + m * block->stride,
                                     w->cosines + m * head_dim / 2, w->sines + m * head_dim / 2,
                                     n_heads, head_dim);
}

/* The layer's own keys and values, rotated, into its slot. */
static void store_kv(const struct worker *worker, const struct pass *pass, uint32_t slot)
{
    struct workspace *w = pass->workspace;
    const struct kv_layout *layout = &pass->cache->layout;
    struct range share = pool_share(worker, pass->n_rows);
    rotate_heads(pass, &w->k, layout->n_kv_heads, share);
    for (size_t m = share.begin; m < share.end; m++) {
        const struct row *row = &w->rows[m];
        kv_store(layout, session_page(row->session, slot, row->position),
                 (uint32_t)(row->position % layout->page_positions), w->k.values + m * w->k.stride,
                 w->v.values + m * w->v.stride);
    }
}

/* Rotated queries, scaled for the softmax. */
static void prepare_queries(const struct worker *worker, const struct pass *pass)
{
    const struct hparams *h = &pass->model->hparams;
    struct workspace *w = pass->workspace;
    struct range share = pool_share(worker, pass->n_rows);
    float scale = 1.0f / sqrtf((float)h->head_dim);
    rotate_heads(pass, &w->q, h->n_heads, share);
    for (size_t m = share.begin; m < share.end; m++) {
        float *q = w->q.values + m * w->q.stride;
        for (size_t d = 0; d < (size_t)h->n_heads * h->head_dim; d++)
            q[d] *= scale;
    }
}

/*
 * Keeps only the rows that something is wanted of. Once the last slot is written, nothing but their
 * logits and hidden states depends on the rest.
 */
static void keep_wanted_rows(struct pass *pass)
{
    struct workspace *w = pass->workspace;
    size_t half = pass->model->hparams.head_dim / 2, kept = 0;
    for (size_t m = 0; m < pass->n_rows; m++) {
        if (w->rows[m].want == 0)
            continue;
        if (kept != m) {
            w->rows[kept] = w->rows[m];
            memcpy(w->cosines + kept * half, w->cosines + m * half, half * sizeof(float));
            memcpy(w->sines + kept * half, w->sines + m * half, half * sizeof(float));
            memcpy(w->hidden.values + kept * w->hidden.stride,
                   w->hidden.values + m * w->hidden.stride, w->hidden.stride * sizeof(float));
            memcpy(w->x.values + kept * w->x.stride, w->x.values + m * w->x.stride,
                   w->x.stride * sizeof(float));
            linear_move_row(pass, &w->x, m, kept);
        }
        kept++;
    }
    pass->n_rows = kept;
    attention_runs(pass);
}

static void add_rows(const struct worker *worker, const struct pass *pass, const float *bias)
{
    struct workspace *w = pass->workspace;
    size_t n = pass->model->hparams.hidden_size;
    struct range share = pool_share(worker, pass->n_rows);
    linear_bias(pass, &w->delta, bias, n, share);
    for (size_t m = share.begin; m < share.end; m++)
        pass->model->kernels->add(w->hidden.values + m * w->hidden.stride,
                                  w->delta.values + m * w->delta.stride, n);
}

static void activate(const struct worker *worker, const struct pass *pass,
                     const struct model_layer *weights)
{
    struct workspace *w = pass->workspace;
    size_t n = pass->model->hparams.intermediate_size;
    struct range share = pool_share(worker, pass->n_rows);
    linear_bias(pass, &w->gate, weights->gate_bias, n, share);
    linear_bias(pass, &w->up, weights->up_bias, n, share);
    for (size_t m = share.begin; m < share.end; m++)
        pass->model->kernels->swiglu(w->gate.values + m * w->gate.stride,
                                     w->up.values + m * w->up.stride, n);
    if (linear_quantizes(pass, &weights->down))
        linear_quantize(pass, &w->gate, share);
}

/*
 * Layer i over all rows. `tail`: after its keys and values, only the wanted rows go on. False if
 * the call was cancelled. All workers learn that at the same barrier, so none may look at
 * pass->stop later: worker 0 may already have set it for the next layer.
 */
static bool layer(const struct worker *worker, struct pass *pass, uint32_t i, bool tail)
{
    const struct lckv_model *model = pass->model;
    const struct hparams *h = &model->hparams;
    const struct plan_layer *plan = &model->plan->layers[i];
    const struct model_layer *weights = &model->layers[i];
    struct workspace *w = pass->workspace;
    bool quantized = linear_quantizes(pass, &weights->q) || linear_quantizes(pass, &weights->k) ||
                     linear_quantizes(pass, &weights->v);

    norm_rows(worker, pass, weights->attention_norm, quantized);
    if (worker->index == 0)
        pass->stop = atomic_load_explicit(&pass->cache->cancelled, memory_order_relaxed) != 0;
    pool_barrier(worker);
    if (pass->stop)
        return false;
    if (plan->slot >= 0) {
        linear(worker, pass, &weights->k, &w->x, &w->k);
        linear(worker, pass, &weights->v, &w->x, &w->v);
    }
    if (!tail)
        linear(worker, pass, &weights->q, &w->x, &w->q);
    pool_barrier(worker);
    if (plan->slot >= 0) {
        struct range share = pool_share(worker, pass->n_rows);
        size_t n_kv = (size_t)h->n_kv_heads * h->head_dim;
        linear_bias(pass, &w->k, weights->k_bias, n_kv, share);
        linear_bias(pass, &w->v, weights->v_bias, n_kv, share);
        store_kv(worker, pass, (uint32_t)plan->slot);
    }
    if (tail) {
        pool_barrier(worker);
        if (worker->index == 0)
            keep_wanted_rows(pass);
        pool_barrier(worker);
        linear(worker, pass, &weights->q, &w->x, &w->q);
        pool_barrier(worker);
    }
    linear_bias(pass, &w->q, weights->q_bias, (size_t)h->n_heads * h->head_dim,
                pool_share(worker, pass->n_rows));
    prepare_queries(worker, pass);
    pool_barrier(worker);
    attention(worker, pass, plan);
    pool_barrier(worker);
    if (linear_quantizes(pass, &weights->o)) {
        linear_quantize(pass, &w->attended, pool_share(worker, pass->n_rows));
        pool_barrier(worker);
    }
    linear(worker, pass, &weights->o, &w->attended, &w->delta);
    pool_barrier(worker);
    add_rows(worker, pass, weights->o_bias);

    norm_rows(worker, pass, weights->ffn_norm,
              linear_quantizes(pass, &weights->gate) || linear_quantizes(pass, &weights->up));
    pool_barrier(worker);
    linear(worker, pass, &weights->gate, &w->x, &w->gate);
    linear(worker, pass, &weights->up, &w->x, &w->up);
    pool_barrier(worker);
    activate(worker, pass, weights);
    pool_barrier(worker);
    linear(worker, pass, &weights->down, &w->gate, &w->delta);
    pool_barrier(worker);
    add_rows(worker, pass, weights->down_bias);
    if (worker->index == 0)
        pass->n_layer_rows += pass->n_rows;
    return true;
}

/* Logits and hidden states of the wanted rows, a few rows at a time. */
static void head(const struct worker *worker, struct pass *pass)
{
    const struct lckv_model *model = pass->model;
    const struct hparams *h = &model->hparams;
    struct workspace *w = pass->workspace;
    norm_rows(worker, pass, model->output_norm, linear_quantizes(pass, &model->output));
    pool_barrier(worker);
    for (size_t first = 0; first < pass->n_rows; first += LOGIT_TILE) {
        size_t n = pass->n_rows - first < LOGIT_TILE ? pass->n_rows - first : LOGIT_TILE;
        linear_rows(worker, pass, &model->output, &w->x, first, n, &w->logit_tile);
        pool_barrier(worker);
        struct range share = pool_share(worker, n);
        for (size_t m = share.begin; m < share.end; m++) {
            const struct row *row = &w->rows[first + m];
            if (row->logits != NULL)
                memcpy(row->logits, w->logit_tile.values + m * w->logit_tile.stride,
                       h->n_vocab * sizeof(float));
            if (row->hidden != NULL)
                memcpy(row->hidden, w->x.values + (first + m) * w->x.stride,
                       h->hidden_size * sizeof(float));
        }
        pool_barrier(worker);
    }
}

/* Zero keys and values at the new positions of the slots that upward layers of the group read. */
static void clear_group_slots(const struct worker *worker, const struct pass *pass,
                              const struct plan_group *group)
{
    struct workspace *w = pass->workspace;
    const struct kv_layout *layout = &pass->cache->layout;
    struct range share = pool_share(worker, pass->n_rows);
    for (size_t m = share.begin; m < share.end; m++) {
        memset(w->k.values + m * w->k.stride, 0, w->k.stride * sizeof(float));
        for (uint32_t i = group->first; i <= group->last; i++) {
            const struct plan_layer *plan = &pass->model->plan->layers[i];
            const struct row *row = &w->rows[m];
            if (plan->upward)
                kv_store(layout, session_page(row->session, plan->source_slot, row->position),
                         (uint32_t)(row->position % layout->page_positions),
                         w->k.values + m * w->k.stride, w->k.values + m * w->k.stride);
        }
    }
}

/* The authors' iterated encoding of a cyclic group: every pass begins with the same input. */
static bool iterate_group(const struct worker *worker, struct pass *pass,
                          const struct plan_group *group)
{
    struct workspace *w = pass->workspace;
    struct range share = pool_share(worker, pass->n_rows);
    size_t begin = share.begin * w->hidden.stride, n = (share.end - share.begin) * w->hidden.stride;
    memcpy(w->saved.values + begin, w->hidden.values + begin, n * sizeof(float));
    clear_group_slots(worker, pass, group);
    pool_barrier(worker);
    bool going = true;
    for (uint32_t p = 0; going && p < pass->n_iterations; p++) {
        memcpy(w->hidden.values + begin, w->saved.values + begin, n * sizeof(float));
        for (uint32_t i = group->first; going && i <= group->last; i++)
            going = layer(worker, pass, i, false);
    }
    return going;
}

/* Group by group, cyclic ones several times; only then do the unwanted rows go. */
static bool iterated_layers(const struct worker *worker, struct pass *pass)
{
    const struct lckv_plan *plan = pass->model->plan;
    bool going = true;
    for (uint32_t g = 0; going && g < plan->n_groups; g++) {
        const struct plan_group *group = &plan->groups[g];
        if (group->cyclic)
            going = iterate_group(worker, pass, group);
        for (uint32_t i = group->first; going && !group->cyclic && i <= group->last; i++)
            going = layer(worker, pass, i, false);
    }
    pool_barrier(worker);
    if (worker->index == 0)
        keep_wanted_rows(pass);
    pool_barrier(worker);
    return going;
}

/* Every layer once, bottom up. */
static bool plain_layers(const struct worker *worker, struct pass *pass)
{
    const struct lckv_plan *plan = pass->model->plan;
    bool going = true;
    for (uint32_t i = 0; going && i < plan->n_layers; i++) {
        going = layer(worker, pass, i, i == plan->last_kv_layer);
        if (i >= plan->last_kv_layer && pass->n_rows == 0)
            break;
    }
    return going;
}

static void forward_worker(const struct worker *worker, void *context)
{
    struct pass *pass = context;
    embed(worker, pass);
    bool going = pass->iterated ? iterated_layers(worker, pass) : plain_layers(worker, pass);
    if (going && pass->n_rows > 0)
        head(worker, pass);
}

lckv_status forward(struct pass *pass)
{
    pass->stop = false;
    attention_runs(pass);
    pool_run(pass->cache->pool, forward_worker, pass);
    if (pass->stop)
        return fail(LCKV_CANCELLED, "the call was cancelled; nothing has changed");
    return LCKV_OK;
}
