/*
 * The forward pass. Every worker runs the same code on its share of the rows or of the weight rows,
 * with a barrier wherever one step reads what another worker wrote in the step before.
 */
#include "engine/forward.h"

#include "base/status.h"
#include "engine/attention.h"
#include "engine/attention_units.h"
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

static void embed(const struct task *task)
{
    const struct pass *pass = task->pass;
    const struct row *rows = pass->workspace->rows;
    const struct block *hidden = &task->stream->hidden;
    for (size_t m = task->rows.begin; m < task->rows.end; m++)
        matrix_unpack_row(&pass->model->token_embedding, (uint32_t)rows[m].token,
                          hidden->values + m * hidden->stride);
    struct range share = pool_share(task->worker, pass->n_rows);
    for (size_t m = share.begin; m < share.end; m++)
        rotations(pass, m);
}

/* What a step before has left in delta comes to the residual stream. */
static void add_delta(const struct task *task)
{
    const struct pass *pass = task->pass;
    const struct block *hidden = &task->stream->hidden, *delta = &pass->workspace->delta;
    for (size_t m = task->rows.begin; m < task->rows.end; m++)
        pass->model->kernels->add(hidden->values + m * hidden->stride,
                                  delta->values + m * delta->stride,
                                  pass->model->hparams.hidden_size);
}

/* x = norm(hidden), ready for the products. */
static struct activations normed(const struct task *task, const float *weight,
                                 const struct product *products, size_t n_products)
{
    const struct lckv_model *model = task->pass->model;
    const struct block *hidden = &task->stream->hidden, *x = &task->stream->x;
    for (size_t m = task->rows.begin; m < task->rows.end; m++)
        model->kernels->rms_norm(hidden->values + m * hidden->stride, weight,
                                 model->hparams.rms_norm_eps, model->hparams.hidden_size,
                                 x->values + m * x->stride);
    struct activations input = linear_input(task->pass, x, task->stream, products, n_products);
    linear_prepare(task->pass, &input, task->rows);
    return input;
}

/*
 * Keeps only the rows that something is wanted of. Once the last slot is written, nothing but their
 * logits and hidden states depends on the rest.
 */
static void drop_unwanted_rows(struct pass *pass)
{
    struct workspace *w = pass->workspace;
    const struct block *moved[] = {&w->shared.hidden, &w->shared.x};
    size_t half = pass->model->hparams.head_dim / 2, kept = 0;
    for (size_t m = 0; m < pass->n_rows; m++) {
        if (w->rows[m].want == 0)
            continue;
        if (kept != m) {
            w->rows[kept] = w->rows[m];
            memcpy(w->cosines + kept * half, w->cosines + m * half, half * sizeof(float));
            memcpy(w->sines + kept * half, w->sines + m * half, half * sizeof(float));
            for (size_t b = 0; b < 2; b++)
                memcpy(moved[b]->values + kept * moved[b]->stride,
                       moved[b]->values + m * moved[b]->stride, moved[b]->stride * sizeof(float));
        }
        kept++;
    }
    pass->n_rows = kept;
    attention_runs(pass);
}

/* The same for all workers, in a step of its own. Where rows are few, all are wanted or none. */
static void keep_wanted_rows(struct task *task)
{
    if (task->pass->all_wanted)
        return;
    if (task->worker->index == 0)
        drop_unwanted_rows(task->pass);
    task_barrier(task);
    task_share_rows(task);
}

/*
 * Attention's queries, keys and values. `tail`: after the keys and values, only the wanted rows go
 * on. False if the call was cancelled. All workers learn that at the same barrier, and four more
 * come before worker 0 may set it for the next layer.
 */
static bool project(struct task *task, uint32_t i, bool tail)
{
    struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const struct plan_layer *plan = &pass->model->plan->layers[i];
    const struct model_layer *weights = &pass->model->layers[i];
    const struct product products[] = {{&weights->q, weights->q_bias, &w->q},
                                       {&weights->k, weights->k_bias, &w->k},
                                       {&weights->v, weights->v_bias, &w->v}};
    size_t n = plan->slot >= 0 ? 3 : 1;
    struct activations x = normed(task, weights->attention_norm, products, n);
    if (task->worker->index == 0)
        pass->stop = atomic_load_explicit(&pass->cache->cancelled, memory_order_relaxed) != 0;
    task_rows_ready(task);
    if (!tail) {
        linear(task, &x, products, n);
        task_barrier(task);
        return !pass->stop;
    }
    linear(task, &x, products + 1, 2);
    task_barrier(task);
    if (pass->stop)
        return false;
    attention_store(task, plan);
    keep_wanted_rows(task);
    if (pass->n_rows == 0)
        return true;
    x = linear_input(pass, &task->stream->x, task->stream, products, 1);
    linear_prepare(pass, &x, task->rows);
    task_barrier(task);
    linear(task, &x, products, 1);
    task_barrier(task);
    return true;
}

/* Attention's or the MLP's product back to the width of the residual stream, and onto it. */
static void project_back(struct task *task, const struct activations *x,
                         const struct product *product)
{
    linear(task, x, product, 1);
    task_barrier(task);
    add_delta(task);
}

static void feed_forward(struct task *task, const struct model_layer *weights)
{
    struct pass *pass = task->pass;
    struct workspace *w = pass->workspace;
    const struct product both[] = {{&weights->gate, weights->gate_bias, &w->gate},
                                   {&weights->up, weights->up_bias, &w->up}};
    const struct product down = {&weights->down, weights->down_bias, &w->delta};
    struct activations x = normed(task, weights->ffn_norm, both, 2);
    struct activations activated = linear_input(pass, &w->gate, &w->activated, &down, 1);
    task_rows_ready(task);
    linear_swiglu(task, &x, &both[0], &both[1], &activated);
    task_barrier(task);
    project_back(task, &activated, &down);
}

/* Layer i over all rows; `tail` as above. False if the call was cancelled. */
static bool layer(struct task *task, uint32_t i, bool tail)
{
    struct pass *pass = task->pass;
    const struct plan_layer *plan = &pass->model->plan->layers[i];
    const struct model_layer *weights = &pass->model->layers[i];
    struct workspace *w = pass->workspace;
    if (!project(task, i, tail))
        return false;
    if (pass->n_rows == 0)
        return true;
    attention(task, plan, plan->slot >= 0 && !tail, &weights->o);

    const struct product o = {&weights->o, weights->o_bias, &w->delta};
    struct activations attended = linear_input(pass, &w->attended, task->stream, &o, 1);
    linear_prepare(pass, &attended, task->rows);
    task_rows_ready(task);
    project_back(task, &attended, &o);
    feed_forward(task, weights);
    if (task->worker->index == 0)
        pass->n_layer_rows += pass->n_rows;
    return true;
}

/* Logits and hidden states of the wanted rows. */
static void head(struct task *task)
{
    struct pass *pass = task->pass;
    const struct lckv_model *model = pass->model;
    struct workspace *w = pass->workspace;
    const struct product output = {&model->output, NULL, NULL};
    struct activations x = normed(task, model->output_norm, &output, 1);
    size_t n_vocab = model->hparams.n_vocab;
    for (size_t m = task->rows.begin; m < task->rows.end; m++) {
        if (w->rows[m].hidden != NULL && (!pass->few || task->worker->index == 0))
            memcpy(w->rows[m].hidden, x.values + m * x.stride,
                   model->hparams.hidden_size * sizeof(float));
    }
    if (!pass->logits_wanted)
        return;
    task_rows_ready(task);
    float *scratch = w->head_scratch + task->worker->index * w->head_floats;
    const size_t step = packed_row_step(model->kernels->layout);
    _Static_assert(HEAD_COLUMNS % PACKED_MAX_GROUP == 0, "the scratch has room for whole groups");
    struct range claim;
    while (task_claim(task, n_vocab, step, HEAD_COLUMNS, &claim)) {
        linear_rows(task, &model->output, &x, claim.begin, claim.end, scratch, HEAD_COLUMNS);
        for (size_t m = 0; m < pass->n_rows; m++) {
            if (w->rows[m].logits != NULL)
                memcpy(w->rows[m].logits + claim.begin, scratch + m * HEAD_COLUMNS,
                       (claim.end - claim.begin) * sizeof(float));
        }
    }
    task_barrier(task);
}

/* Zero keys and values at the new positions of the slots that upward layers of the group read. */
static void clear_group_slots(const struct task *task, const struct plan_group *group)
{
    const struct pass *pass = task->pass;
    struct workspace *w = pass->workspace;
    const struct kv_layout *layout = &pass->cache->layout;
    for (size_t m = task->rows.begin; m < task->rows.end; m++) {
        const struct row *row = &w->rows[m];
        float *zeros = w->k.values + m * w->k.stride;
        memset(zeros, 0, layout->head_dim * sizeof(float));
        for (uint32_t i = group->first; i <= group->last; i++) {
            const struct plan_layer *plan = &pass->model->plan->layers[i];
            for (uint32_t head = 0; plan->upward && head < layout->n_kv_heads; head++)
                pass->model->kernels->kv_store[layout->type](
                    layout, session_page(row->session, plan->source_slot, row->position),
                    (uint32_t)(row->position % layout->page_positions), head, zeros, zeros);
        }
    }
}

/* The authors' iterated encoding of a cyclic group: every pass begins with the same input. */
static bool iterate_group(struct task *task, const struct plan_group *group)
{
    struct pass *pass = task->pass;
    const struct block *hidden = &pass->workspace->shared.hidden;
    float *now = hidden->values + task->rows.begin * hidden->stride;
    float *saved = pass->workspace->saved.values + task->rows.begin * hidden->stride;
    size_t n_bytes = (task->rows.end - task->rows.begin) * hidden->stride * sizeof(float);
    memcpy(saved, now, n_bytes);
    clear_group_slots(task, group);
    task_barrier(task);
    bool going = true;
    for (uint32_t p = 0; going && p < pass->n_iterations; p++) {
        memcpy(now, saved, n_bytes);
        for (uint32_t i = group->first; going && i <= group->last; i++)
            going = layer(task, i, false);
    }
    return going;
}

/* Group by group, cyclic ones several times; only then do the unwanted rows go. */
static bool iterated_layers(struct task *task)
{
    const struct lckv_plan *plan = task->pass->model->plan;
    bool going = true;
    for (uint32_t g = 0; going && g < plan->n_groups; g++) {
        const struct plan_group *group = &plan->groups[g];
        if (group->cyclic)
            going = iterate_group(task, group);
        for (uint32_t i = group->first; going && !group->cyclic && i <= group->last; i++)
            going = layer(task, i, false);
    }
    task_barrier(task);
    keep_wanted_rows(task);
    return going;
}

/* Every layer once, bottom up. */
static bool plain_layers(struct task *task)
{
    struct pass *pass = task->pass;
    const struct lckv_plan *plan = pass->model->plan;
    bool going = true;
    for (uint32_t i = 0; going && pass->n_rows > 0 && i < plan->n_layers; i++)
        going = layer(task, i, i == plan->last_kv_layer && !pass->all_wanted);
    return going;
}

static void forward_worker(const struct worker *worker, void *context)
{
    struct pass *pass = context;
    struct task task = task_begin(worker, pass);
    embed(&task);
    bool going = pass->iterated ? iterated_layers(&task) : plain_layers(&task);
    if (going && pass->n_rows > 0)
        head(&task);
}

lckv_status forward(struct pass *pass)
{
    size_t n_wanted = 0;
    pass->logits_wanted = false;
    for (size_t m = 0; m < pass->n_rows; m++) {
        n_wanted += pass->workspace->rows[m].want != 0;
        pass->logits_wanted = pass->logits_wanted || pass->workspace->rows[m].logits != NULL;
    }
    pass->all_wanted = n_wanted == pass->n_rows;
    pass->few = pass->n_rows <= FEW_ROWS && (pass->all_wanted || n_wanted == 0) && !pass->iterated;
    pass->stop = false;
    attention_runs(pass);
    for (uint32_t i = 0; i < pool_size(pass->cache->pool) * CLAIM_STEPS; i++)
        atomic_store_explicit(&pass->workspace->claims[i].taken, 0, memory_order_relaxed);
    pool_run(pass->cache->pool, forward_worker, pass);
    if (pass->stop)
        return fail(LCKV_CANCELLED, "the call was cancelled; nothing has changed");
    return LCKV_OK;
}
