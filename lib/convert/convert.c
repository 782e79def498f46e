/*
 * Converts a checkpoint to a file. list_tensors.c chooses the tensors to write, and choose_dtype.c
 * their types; rows.c makes the data of each, and output_metadata.c makes the metadata.
 */
#include "convert/convert.h"

#include "base/status.h"
#include "convert/converter.h"
#include "convert/output_metadata.h"
#include "format/checkpoint_open.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "model/check_tensors.h"
#include "model/fused.h"
#include "model/scales.h"
#include "model/text_tensors.h"

#include <string.h>

static lckv_status progress(void *user, size_t bytes)
{
    struct converter *c = user;
    c->done += bytes;
    if (c->options->progress != NULL &&
        c->options->progress(c->options->progress_user, c->done, c->total) != 0)
        return fail(LCKV_CANCELLED, "the conversion was cancelled; the old file is as it was");
    return LCKV_OK;
}

static lckv_status write_file(struct converter *c, const char *path, uint64_t *file_bytes)
{
    struct output output;
    struct gguf_writer writer;
    lckv_status status = output_open(&output, path, &c->allocator);
    if (status != LCKV_OK)
        return status;
    status = gguf_writer_begin(&writer, &output, &c->metadata, c->tensors, c->n_tensors);
    for (size_t i = 0; status == LCKV_OK && i < c->n_tensors; i++)
        status =
            rows_write(&c->rows[i], &c->in, &c->tensors[i], &c->allocator, &writer, progress, c);
    if (status == LCKV_OK)
        status = gguf_writer_end(&writer);
    *file_bytes = output.position;
    if (status == LCKV_OK)
        status = output_commit(&output);
    output_discard(&output);
    return status;
}

static lckv_status check_options(const lckv_convert_options *options)
{
    bool k_quants = options->dtype == LCKV_DTYPE_Q4_K || options->dtype == LCKV_DTYPE_Q5_K;
    if (options->dtype != LCKV_DTYPE_DEFAULT && !blocks_can_quantize(options->dtype))
        return fail(LCKV_UNSUPPORTED,
                    "dtype is %d; expected f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_K, "
                    "q5_K or q6_K",
                    (int)options->dtype);
    if (options->mixture != 0 && !k_quants)
        return fail(LCKV_INVALID_ARGUMENT, "mixture is set; expected dtype q4_K or q5_K with it");
    if (options->init != LCKV_CONVERT_MEAN && options->init != LCKV_CONVERT_COPY)
        return fail(LCKV_INVALID_ARGUMENT, "init is %d; expected mean or copy", (int)options->init);
    return LCKV_OK;
}

static lckv_status choose_layout(struct converter *c)
{
    const struct kernels *kernels = NULL;
    if (c->options->packed == 0)
        return LCKV_OK;
    lckv_status status = kernels_find(c->options->kernel_set, &kernels);
    if (status == LCKV_OK)
        c->layout = kernels->layout;
    return status;
}

static lckv_status open_input(struct converter *c, const char *input)
{
    const char *plan = c->options->plan;
    lckv_status status = checkpoint_check_weights(&c->in);
    if (status == LCKV_OK)
        status = scales_attach(&c->in);
    if (status == LCKV_OK)
        status = hparams_read(&c->in, &c->hparams, &c->remarks);
    if (status == LCKV_OK)
        status = text_tensors_select(&c->in, &c->hparams, &c->remarks);
    if (status == LCKV_OK)
        status = fused_split(&c->in, &c->hparams);
    const struct text *own = &c->hparams.plan;
    if (status == LCKV_OK)
        status = plan_parse(own->length > 0 ? own->bytes : NULL, own->length, c->hparams.n_layers,
                            &c->allocator, &c->old_plan);
    if (status == LCKV_OK)
        status = hparams_check_plan(&c->hparams, c->old_plan);
    if (status == LCKV_OK)
        status = check_tensors(&c->in, &c->hparams, c->old_plan, &c->remarks);
    if (status != LCKV_OK)
        return status;
    if (c->options->sliding_window != 0)
        c->hparams.sliding_window = c->options->sliding_window;
    if (plan == NULL) {
        plan_retain(c->old_plan);
        c->plan = c->old_plan;
        c->same_plan = true;
        return LCKV_OK;
    }
    status = plan_parse(plan, strlen(plan), c->hparams.n_layers, &c->allocator, &c->plan);
    if (status == LCKV_OK)
        status = hparams_check_plan(&c->hparams, c->plan);
    c->same_plan = status == LCKV_OK;
    for (uint32_t i = 0; status == LCKV_OK && i < c->plan->n_layers; i++)
        c->same_plan &= c->plan->layers[i].source == c->old_plan->layers[i].source;
    for (uint32_t i = 0; status == LCKV_OK && i < c->plan->n_layers; i++) {
        if (c->plan->layers[i].windowed && c->hparams.sliding_window == 0)
            status = fail(LCKV_BAD_PLAN,
                          "the plan has sliding windows, but neither the options nor %s give a "
                          "sliding_window",
                          input);
    }
    return status;
}

lckv_status convert(const char *input, const char *output, const lckv_convert_options *options,
                    lckv_convert_report *report)
{
    struct converter c = {.options = options,
                          .remarks = {.log = options->log, .user = options->log_user}};
    lckv_status status = check_options(options);
    if (status == LCKV_OK)
        status = choose_layout(&c);
    if (status == LCKV_OK)
        status = memory_choose(options->allocator, &c.allocator);
    if (status == LCKV_OK)
        status = checkpoint_open(&c.in, input, &c.allocator);
    if (status != LCKV_OK)
        return status;
    uint64_t file_bytes = 0;
    arena_init(&c.arena, &c.allocator);
    status = open_input(&c, input);
    if (status == LCKV_OK)
        status = converter_list_tensors(&c);
    metadata_init(&c.metadata, &c.arena);
    if (status == LCKV_OK)
        status = output_metadata(&c.in, &c.hparams, c.plan, c.tensors, c.n_tensors, &c.remarks,
                                 &c.allocator, &c.metadata);
    if (status == LCKV_OK)
        status = write_file(&c, output, &file_bytes);
    if (status == LCKV_OK) {
        report->n_tensors = c.n_tensors;
        report->n_kept_f16 = c.n_kept_f16;
        report->file_bytes = file_bytes;
    }
    plan_release(c.plan);
    plan_release(c.old_plan);
    arena_release(&c.arena);
    checkpoint_close(&c.in);
    return status;
}
