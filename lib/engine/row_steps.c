/*
 * The steps that work on whole rows. See row_steps.h.
 */
#include "engine/row_steps.h"

#include "kernels/vectors.h"

#include <string.h>

/* The scale that a recipe may have for embeddings. */
static void scale_embedding(const struct lckv_model *model, float *hidden)
{
    const float scale = model->hparams.scales[SCALE_EMBEDDING];
    if (scale != 1)
        vector_scale(hidden, scale, model->hparams.hidden_size);
}

void embed(struct task *task)
{
    const struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const struct buffer *hidden = &w->hidden;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            if (pass->model->ring == NULL) /* else weights_begin() has read it */
                matrix_unpack_row(&pass->model->token_embedding,
                                  (uint32_t)task->batch->rows[m].token,
                                  hidden->values + m * hidden->stride);
            scale_embedding(pass->model, hidden->values + m * hidden->stride);
            rotation_compute(pass->model, task->batch->rows[m].position, workspace_rotation(w, m));
        }
    }
    step_end(&step);
}

static void move_row(const struct buffer *rows, size_t from, size_t to)
{
    memcpy(rows->values + to * rows->stride, rows->values + from * rows->stride,
           rows->stride * sizeof(float));
}

/* Moves what belongs to the wanted rows to the front, in their order. */
static void move_wanted_rows(const struct pass *pass)
{
    struct workspace *w = pass->workspace;
    const struct buffer *hidden = &w->hidden;
    size_t kept = 0;
    for (size_t m = 0; m < pass->all.n_rows; m++) {
        if (pass->all.rows[m].want == 0)
            continue;
        if (kept != m) {
            const struct rotation to = workspace_rotation(w, kept), from = workspace_rotation(w, m);
            memcpy(to.cosines, from.cosines, w->n_pairs * sizeof(float));
            memcpy(to.sines, from.sines, w->n_pairs * sizeof(float));
            move_row(hidden, m, kept);
            if (pass->model->hparams.layer_input_size > 0)
                move_row(&w->inputs, m, kept);
        }
        kept++;
    }
}

void keep_wanted_rows(struct task *task)
{
    const struct pass *pass = task->pass;
    bool move = pass->wanted.n_rows > 0 && pass->wanted.n_rows < task->batch->n_rows;
    struct step step = step_begin(task, move ? 1 : 0, 1, 1);
    struct range all;
    while (step_claim(&step, &all))
        move_wanted_rows(pass);
    step_end(&step);
    task->batch = &pass->wanted;
}

void hidden_states(struct task *task)
{
    const struct lckv_model *model = task->pass->model;
    const struct buffer *hidden = &task->pass->workspace->hidden;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            if (task->batch->rows[m].hidden != NULL)
                model->kernels->rms_norm(hidden->values + m * hidden->stride, model->output_norm,
                                         model->hparams.rms_norm_eps, model->hparams.hidden_size,
                                         task->batch->rows[m].hidden);
        }
    }
    step_end(&step);
}

/*
 * Stores zeros as keys and values at row m's position, in the slots that upward layers of the group
 * read.
 */
static void clear_slots(const struct pass *pass, const struct plan_group *group, size_t m)
{
    const struct row *row = &pass->all.rows[m];
    float *zeros = pass->workspace->k.values + m * pass->workspace->k.stride;
    memset(zeros, 0, pass->model->hparams.widest.head_dim * sizeof(float));
    for (uint32_t i = group->first; i <= group->last; i++) {
        const struct plan_layer *plan = pass->model->layers[i].plan;
        const struct kv_layout *layout = cache_layout(pass->cache, plan->source_slot);
        for (uint32_t head = 0; plan->upward && head < layout->n_kv_heads; head++)
            pass->model->kernels->kv_store(
                layout, session_page(row->session, plan->source_slot, row->position),
                (uint32_t)(row->position % layout->page_positions), head, zeros, zeros);
    }
}

void save_rows(struct task *task, const struct plan_group *group)
{
    const struct buffer *hidden = &task->pass->workspace->hidden;
    const struct buffer *saved = &task->pass->workspace->saved;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            memcpy(saved->values + m * saved->stride, hidden->values + m * hidden->stride,
                   hidden->stride * sizeof(float));
            clear_slots(task->pass, group, m);
        }
    }
    step_end(&step);
}

void restore_rows(struct task *task)
{
    const struct buffer *hidden = &task->pass->workspace->hidden;
    const struct buffer *saved = &task->pass->workspace->saved;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows))
        memcpy(hidden->values + rows.begin * hidden->stride,
               saved->values + rows.begin * saved->stride,
               (rows.end - rows.begin) * hidden->stride * sizeof(float));
    step_end(&step);
}
