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
 * Stores zeros as keys and values at row m's position, in the slots that upward layers of the stage
 * read.
 */
static void clear_slots(const struct pass *pass, size_t m)
{
    const struct row *row = &pass->all.rows[m];
    float *zeros = pass->workspace->k.values + m * pass->workspace->k.stride;
    memset(zeros, 0, pass->model->hparams.widest.head_dim * sizeof(float));
    for (uint32_t i = pass->stage.first; i < pass->stage.end; i++) {
        const struct plan_layer *plan = pass->model->layers[i].plan;
        const struct kv_layout *layout = cache_layout(pass->cache, plan->source_slot);
        for (uint32_t head = 0; plan->upward && head < layout->n_kv_heads; head++)
            pass->model->kernels->kv_store(
                layout, session_page(row->session, plan->source_slot, row->position),
                (uint32_t)(row->position % layout->page_positions), head, zeros, zeros);
    }
}

void resume_rows(struct task *task)
{
    const struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            const struct row *row = &task->batch->rows[m];
            const float *kept = w->kept.values + row->kept * w->kept.stride;
            memcpy(w->hidden.values + m * w->hidden.stride, kept, w->hidden.stride * sizeof *kept);
            if (w->inputs.stride > 0)
                memcpy(w->inputs.values + m * w->inputs.stride, kept + w->hidden.stride,
                       w->inputs.stride * sizeof *kept);
            rotation_compute(pass->model, row->position, workspace_rotation(w, m));
            if (row->enters)
                clear_slots(pass, m);
        }
    }
    step_end(&step);
}

void keep_row(const struct workspace *w, size_t m)
{
    float *kept = w->kept.values + w->rows[m].kept * w->kept.stride;
    memcpy(kept, w->hidden.values + m * w->hidden.stride, w->hidden.stride * sizeof *kept);
    if (w->inputs.stride > 0)
        memcpy(kept + w->hidden.stride, w->inputs.values + m * w->inputs.stride,
               w->inputs.stride * sizeof *kept);
}
