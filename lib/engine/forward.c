/*
 * The forward pass: rows of tokens through the layers. docs/semantics.md, section 2, defines it in
 * four steps for one token; compute_layer() below takes these four steps for all rows of a pass.
 *
 * All workers run this code. Where it calls a function with the task, they share the work of that
 * function, and the next one sees all of its results (task.h).
 */
#include "engine/forward.h"

#include "engine/attention.h"
#include "engine/attention_units.h"
#include "engine/layer_inputs.h"
#include "engine/layer_weights.h"
#include "engine/linear.h"
#include "engine/row_steps.h"

#include <stdatomic.h>

/* ---- One layer ---- */

/*
 * Computes layer i for the batch; `hidden` is the residual stream h. `last_slot`: the layer writes
 * the last slot, and only the rows of which something is wanted go on after that.
 */
static void compute_layer(struct task *task, uint32_t i, bool last_slot)
{
    struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const struct model_layer *layer = layer_weights(task, i);
    const bool computes_kv = layer->plan->slot >= 0;

    /* 1. Query: x = rmsnorm(h), q = W_q x. Step 3 begins with the rotation of q.
     * 2. Keys and values, if the layer computes them: k = W_k x, v = W_v x. They go to the layer's
     * slot, k rotated: in attention_store(), or in attention() before a query reads them. */
    const struct source x = {.buffer = &w->hidden, .norm = layer->attention_norm};
    const struct product q = {&layer->q, &w->q};
    const struct product qkv[] = {q, {&layer->k, &w->k}, {&layer->v, &w->v}};
    if (last_slot) {
        linear(task, x, &qkv[1], 2);
        attention_store(task, layer);
        keep_wanted_rows(task);
        if (task->batch->n_rows == 0)
            return;
        linear(task, x, &q, 1);
    } else {
        linear(task, x, qkv, computes_kv ? 3 : 1);
    }

    /* 3. Attention: a is the attention of q over the slot of the layer's source, at positions <= t,
     * or < t if the layer is upward. */
    attention(task, layer, computes_kv && !last_slot, &layer->o.matrix);

    /* 4. Output and MLP: h += W_o a, then h += W_down (silu(W_gate y) * W_up y) with
     * y = rmsnorm(h). */
    add_back(task, (struct source){.buffer = &w->attended}, &layer->o);
    gated(task, (struct source){.buffer = &w->hidden, .norm = layer->mlp_norm}, layer);
    add_back(task, (struct source){.buffer = &w->gate, .prepared = &w->activated}, &layer->down);
    finish_layer(task, layer, i);
}

/*
 * Computes the layer, unless the call has been cancelled. Then each worker leaves when it sees
 * that.
 */
static void next_layer(struct task *task, uint32_t i, bool last_slot)
{
    if (atomic_load_explicit(&task->pass->cache->cancelled, memory_order_relaxed) != 0)
        task->left = true;
    if (!task->left)
        compute_layer(task, i, last_slot);
}

/* ---- All layers ---- */

/* Computes every layer once, from the bottom up. */
static void plain_layers(struct task *task)
{
    const struct lckv_plan *plan = task->pass->model->plan;
    const bool all_wanted = task->pass->wanted.n_rows == task->pass->all.n_rows;
    for (uint32_t i = 0; task->batch->n_rows > 0 && i < plan->n_layers; i++)
        next_layer(task, i, i == plan->last_kv_layer && !all_wanted);
}

/*
 * The authors' iterated encoding (docs/semantics.md, section 3). It computes group by group, and
 * each iteration of a cyclic group begins with the same rows. Only after the last group the
 * unwanted rows are dropped.
 */
static void iterated_layers(struct task *task)
{
    const struct lckv_plan *plan = task->pass->model->plan;
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        const struct plan_group *group = &plan->groups[g];
        const uint32_t n_iterations = group->cyclic ? task->pass->n_iterations : 1;
        if (group->cyclic)
            save_rows(task, group);
        for (uint32_t p = 0; p < n_iterations && !task->left; p++) {
            if (p > 0)
                restore_rows(task);
            for (uint32_t i = group->first; i <= group->last; i++)
                next_layer(task, i, false);
        }
    }
    keep_wanted_rows(task);
}

static void forward_worker(const struct worker *worker, void *context)
{
    struct pass *pass = context;
    const struct lckv_model *model = pass->model;
    struct task task = task_begin(worker, pass);
    embed(&task);
    layer_inputs(&task);
    if (pass->iterated)
        iterated_layers(&task);
    else
        plain_layers(&task);
    if (pass->hidden_wanted)
        hidden_states(&task);
    for (uint32_t i = 0; pass->logits_wanted && i < model->n_outputs; i++)
        logits(&task,
               (struct source){.buffer = &pass->workspace->hidden, .norm = model->output_norm},
               output_weights(&task, i));
}

/* ---- The pass ---- */

/* Finds out what the rows want, and which of them want something. */
static void look_at_rows(struct pass *pass)
{
    struct workspace *w = pass->workspace;
    size_t n_wanted = 0;
    pass->logits_wanted = pass->hidden_wanted = false;
    for (size_t m = 0; m < pass->n_rows; m++) {
        const struct row *row = &w->rows[m];
        pass->logits_wanted = pass->logits_wanted || row->logits != NULL;
        pass->hidden_wanted = pass->hidden_wanted || row->hidden != NULL;
        if (row->want != 0)
            w->wanted_rows[n_wanted++] = *row;
    }
    pass->all = attention_batch(pass->model, w->rows, pass->n_rows, w->slices);
    pass->wanted = attention_batch(pass->model, w->wanted_rows, n_wanted, w->wanted_slices);
    pass->few =
        pass->n_rows <= FEW_ROWS && (n_wanted == pass->n_rows || n_wanted == 0) && !pass->iterated;
}

/*
 * The kind of the run, by which the pool expects its duration: n rows and up to twice as many take
 * about the same time, unless they wait for weights.
 */
static uint32_t kind_of_run(const struct pass *pass)
{
    uint32_t kind = 0;
    for (size_t n = pass->n_rows; n > 0; n /= 2)
        kind++;
    return pass->iterated || pass->model->ring != NULL ? 0 : kind;
}

lckv_status forward(struct pass *pass)
{
    struct workspace *w = pass->workspace;
    look_at_rows(pass);
    for (uint32_t i = 0; i < pool_size(pass->cache->pool); i++)
        atomic_store_explicit(&w->claims[i].taken, 0, memory_order_relaxed);
    atomic_store_explicit(&w->step->done, 0, memory_order_relaxed);
    lckv_status status = weights_begin(pass);
    if (status != LCKV_OK)
        return status;
    pool_run(pass->cache->pool, kind_of_run(pass), forward_worker, pass);
    status = weights_end(pass);
    return status == LCKV_OK ? cache_check_cancel(pass->cache) : status;
}
