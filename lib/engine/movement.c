/*
 * How far keys and values move in a pass. See movement.h.
 */
#include "engine/movement.h"

#include <math.h>

/* The KV heads of the slots that the layers [first, end) write. */
static size_t heads_between(const struct lckv_model *model, uint32_t first, uint32_t end)
{
    size_t n = 0;
    for (uint32_t i = first; i < end; i++)
        n += model->layers[i].plan->slot >= 0 ? model->layers[i].shape->n_kv_heads : 0;
    return n;
}

size_t movement_heads(const struct lckv_model *model)
{
    size_t most = 0;
    for (uint32_t s = 1; s < stages_count(model->plan); s += 2) {
        const struct stage stage = stages_at(model->plan, s);
        const size_t n = heads_between(model, stage.first, stage.end);
        most = n > most ? n : most;
    }
    return most;
}

/* The movements of row m in the slot of layer i. */
static struct movement *movements_of(const struct pass *pass, uint32_t i, size_t m)
{
    const struct workspace *w = pass->workspace;
    return w->movements + m * w->n_movements + heads_between(pass->model, pass->stage.first, i);
}

static void add_change(const float *before, const float *after, size_t n, float *change,
                       float *size)
{
    float of_change = 0, of_size = 0;
    for (size_t d = 0; d < n; d++) {
        const float difference = after[d] - before[d];
        of_change += difference * difference;
        of_size += after[d] * after[d];
    }
    *change = of_change;
    *size = of_size;
}

void movement_store(const struct task *task, const struct model_layer *layer, size_t m,
                    uint32_t head, const float *k, const float *v)
{
    const struct pass *pass = task->pass;
    const struct kv_layout *layout = &pass->cache->layouts[layer->shape->kv_shape];
    const struct row *row = &task->batch->rows[m];
    const struct workspace *w = pass->workspace;
    uint8_t *page = session_page(row->session, (uint32_t)layer->plan->slot, row->position);
    const uint32_t at = (uint32_t)(row->position % layout->page_positions);
    const size_t head_dim = layout->head_dim;
    float *before = w->rotated + task->worker->index * w->rotated_floats;
    float *after = before + 2 * head_dim;
    struct movement *movement =
        movements_of(pass, pass->model->plan->slots[layer->plan->slot].layer, m) + head;
    kv_load_head(layout, page, at, head, before, before + head_dim);
    pass->model->kernels->kv_store(layout, page, at, head, k, v);
    kv_load_head(layout, page, at, head, after, after + head_dim);
    add_change(before, after, head_dim, &movement->k_change, &movement->k_size);
    add_change(before + head_dim, after + head_dim, head_dim, &movement->v_change,
               &movement->v_size);
}

/* The larger one; NaN if there is one. */
static float larger(float a, float b)
{
    return a > b || a != a ? a : b;
}

static float relative(float change, float size)
{
    return change == 0 ? 0 : sqrtf(change / size);
}

float movement_of_row(const struct pass *pass, size_t m)
{
    float most = 0;
    for (uint32_t i = pass->stage.first; i < pass->stage.end; i++) {
        const struct model_layer *layer = &pass->model->layers[i];
        const struct movement *heads = movements_of(pass, i, m);
        struct movement sum = {0};
        if (layer->plan->slot < 0)
            continue;
        for (uint32_t head = 0; head < layer->shape->n_kv_heads; head++) {
            sum.k_change += heads[head].k_change;
            sum.k_size += heads[head].k_size;
            sum.v_change += heads[head].v_change;
            sum.v_size += heads[head].v_size;
        }
        most = larger(relative(sum.k_change, sum.k_size), most);
        most = larger(relative(sum.v_change, sum.v_size), most);
    }
    return most;
}
