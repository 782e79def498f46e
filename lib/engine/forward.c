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

/* What a pass computes of a layer. */
enum layer_part {
    LAYER_WHOLE,
    LAYER_LAST_SLOT, /* it writes the last slot: only rows that are wanted go on after step 2 */
    LAYER_KV,        /* step 2 alone, as the end of a cyclic stage */
    LAYER_REST       /* the other steps, in the stage behind that */
};

/* Computes layer i for the batch; `hidden` is the residual stream h. */
static void compute_layer(struct task *task, uint32_t i, enum layer_part part)
{
    struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const struct model_layer *layer = layer_weights(task, i);
    const bool qkv_at_once = layer->plan->slot >= 0 && part == LAYER_WHOLE;

    /* 1. Query: x = rmsnorm(h), q = W_q x. Step 3 begins with the rotation of q.
     * 2. Keys and values, if the layer computes them: k = W_k x, v = W_v x. They go to the layer's
     * slot, k rotated: in attention_store(), or in attention() before a query reads them. */
    const struct source x = {.buffer = &w->hidden, .norm = layer->attention_norm};
    const struct product q = {&layer->q, &w->q};
    const struct product qkv[] = {q, {&layer->k, &w->k}, {&layer->v, &w->v}};
    if (part == LAYER_LAST_SLOT || part == LAYER_KV) {
        linear(task, x, &qkv[1], 2);
        attention_store(task, layer);
        if (part == LAYER_KV)
            return;
        keep_wanted_rows(task);
        if (task->batch->n_rows == 0)
            return;
    }
    linear(task, x, qkv, qkv_at_once ? 3 : 1);

    /* 3. Attention: a is the attention of q over the slot of the layer's source, at positions <= t,
     * or < t if the layer is upward. */
    attention(task, layer, qkv_at_once, &layer->o.matrix);

    /* 4. Output and MLP: h += W_o a, then h += W_down (silu(W_gate y) * W_up y) with
     * y = rmsnorm(h). */
    add_back(task, (struct source){.buffer = &w->attended}, &layer->o);
    gated(task, (struct source){.buffer = &w->hidden, .norm = layer->mlp_norm}, layer);
    add_back(task, (struct source){.buffer = &w->gate, .prepared = &w->activated}, &layer->down);
    finish_layer(task, layer, i);
}

/* ---- The layers of a stage ---- */

static enum layer_part part_of(const struct pass *pass, uint32_t i)
{
    const struct stage *stage = &pass->stage;
    if (stage->resumes && i == stage->first)
        return LAYER_REST;
    if (stage->cyclic && i + 1 == stage->end)
        return LAYER_KV;
    if (stage->ends && i == pass->model->plan->last_kv_layer && pass->wanted.n_rows < pass->n_rows)
        return LAYER_LAST_SLOT;
    return LAYER_WHOLE;
}

/* Each worker leaves when it sees that the call has been cancelled. */
static void layers(struct task *task)
{
    const struct stage *stage = &task->pass->stage;
    for (uint32_t i = stage->first; task->batch->n_rows > 0 && i < stage->end; i++) {
        if (atomic_load_explicit(&task->pass->cache->cancelled, memory_order_relaxed) != 0)
            task->left = true;
        if (!task->left)
            compute_layer(task, i, part_of(task->pass, i));
    }
}

static void forward_worker(const struct worker *worker, void *context)
{
    struct pass *pass = context;
    const struct lckv_model *model = pass->model;
    struct task task = task_begin(worker, pass);
    if (pass->stage.begins) {
        embed(&task);
        layer_inputs(&task);
    } else {
        resume_rows(&task);
    }
    layers(&task);
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
    pass->few = pass->n_rows <= FEW_ROWS && (n_wanted == pass->n_rows || n_wanted == 0);
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
    return pass->model->ring != NULL ? 0 : kind;
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
