/*
 * Conversion: which tensors are written, under which name and type. How the bytes of one come about
 * is rows.c's, the metadata are describe.c's.
 */
#include "convert/convert.h"

#include "base/status.h"
#include "convert/describe.h"
#include "convert/rows.h"
#include "format/gguf.h"
#include "kernels/kernels.h"
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

struct converter {
    const lckv_convert_options *options;
    struct matrix_layout layout; /* that matrices are packed in; group_rows 0: they are not */
    bool same_plan;              /* the new plan reads what the old one reads */
    lckv_allocator allocator;
    struct arena arena;
    struct checkpoint in;
    struct hparams hparams;
    struct lckv_plan *old_plan, *plan;
    struct metadata metadata;
    struct gguf_tensor *tensors;
    struct rows *rows; /* where the data of tensors[i] come from */
    size_t n_tensors;
    uint64_t n_kept_f16, done, total;
};

/* The element type that a tensor is written with. */
static lckv_dtype choose_dtype(struct converter *c, const struct tensor *tensor, bool averaged,
                               const char *name)
{
    if (tensor->n_dims == 1)
        return LCKV_DTYPE_F32;
    lckv_dtype dtype = c->options->dtype != LCKV_DTYPE_DEFAULT ? c->options->dtype : tensor->dtype;
    const struct dtype_info *info = dtype_info(dtype);
    uint64_t columns = tensor->shape[1];
    char text[192];
    int length;
    if (columns % info->block_elements != 0)
        length = snprintf(text, sizeof text,
                          "%s: blocks of %u do not divide rows of %llu, so not %s but f16", name,
                          info->block_elements, (unsigned long long)columns, info->name);
    else if (averaged && !rows_can_be(dtype))
        length = snprintf(text, sizeof text, "%s: %s can be copied but no mean written, so f16",
                          name, info->name);
    else
        return dtype;
    if (c->options->log != NULL && length > 0)
        c->options->log(c->options->log_user, text, (size_t)length);
    c->n_kept_f16++;
    return LCKV_DTYPE_F16;
}

/* Adds a tensor whose data are the mean over `n_sources` tensors. */
static lckv_status add_tensor(struct converter *c, enum weight weight, uint32_t layer,
                              const struct tensor *const *sources, size_t n_sources)
{
    struct gguf_tensor *to = &c->tensors[c->n_tensors];
    struct rows *rows = &c->rows[c->n_tensors];
    char name[WEIGHT_NAME_BYTES];
    weight_name(CHECKPOINT_GGUF, weight, layer, name);
    lckv_status status = arena_copy(&c->arena, name, strlen(name), &to->name);
    if (status == LCKV_OK)
        status =
            arena_alloc(&c->arena, n_sources, sizeof *rows->sources, "sources", &rows->sources);
    if (status != LCKV_OK)
        return status;
    memcpy(rows->sources, sources, n_sources * sizeof *sources);
    rows->n_sources = n_sources;
    to->dtype = choose_dtype(c, sources[0], n_sources > 1, name);
    to->n_dims = sources[0]->n_dims;
    memcpy(to->shape, sources[0]->shape, sizeof to->shape);
    if (to->n_dims == 2)
        to->layout = c->layout;
    bool rotated = weight == WEIGHT_Q || weight == WEIGHT_K || weight == WEIGHT_Q_BIAS ||
                   weight == WEIGHT_K_BIAS;
    /* In GGUF files rows that are rotated together are neighbours, but not in packed ones. */
    bool split = c->in.kind == CHECKPOINT_HF || !c->hparams.architecture->gguf_rope_adjacent;
    bool to_split = to->layout.group_rows > 0 || !c->hparams.architecture->gguf_rope_adjacent;
    if (rotated && split && !to_split)
        rows->split_head_dim = c->hparams.head_dim;
    else if (rotated && !split && to_split)
        rows->paired_head_dim = c->hparams.head_dim;
    uint64_t bytes = 0;
    dtype_bytes(to->dtype, to->shape[0] * to->shape[1], &bytes);
    c->total += bytes;
    c->n_tensors++;
    return LCKV_OK;
}

static lckv_status find(const struct converter *c, enum weight weight, uint32_t layer,
                        bool required, const struct tensor **tensor)
{
    uint64_t rows, columns;
    weight_shape(&c->hparams, weight, &rows, &columns);
    return weight_find(&c->in, weight, layer, columns > 0 ? 2 : 1, rows, columns, required, tensor);
}

/* One tensor that is taken over as it is. */
static lckv_status add_weight(struct converter *c, enum weight weight, uint32_t layer)
{
    const struct tensor *tensor = NULL;
    if (weight == WEIGHT_OUTPUT && c->hparams.tie_embeddings)
        return LCKV_OK;
    lckv_status status = find(c, weight, layer, !weight_is_optional(&c->hparams, weight), &tensor);
    if (status != LCKV_OK || tensor == NULL)
        return status;
    return add_tensor(c, weight, layer, &tensor, 1);
}

/* k or v of a source layer: the mean over the layers that read it, or its own. */
static lckv_status add_kv(struct converter *c, enum weight weight, uint32_t layer)
{
    const struct tensor *sources[PLAN_MAX_LAYERS];
    size_t n = 0, n_missing = 0;
    bool own = c->same_plan || c->options->init == LCKV_CONVERT_COPY;
    for (uint32_t i = 0; i < c->plan->n_layers; i++) {
        const struct tensor *tensor = NULL;
        bool takes_part = own ? i == layer : c->plan->layers[i].source == layer;
        if (!takes_part)
            continue;
        bool bias = weight_is_optional(&c->hparams, weight);
        if (!bias && c->old_plan->layers[i].slot < 0)
            return fail(LCKV_MISMATCH,
                        "%s: the new plan needs keys and values of layer %u, which the model does "
                        "not have; convert from a model that has them",
                        c->in.name, i);
        lckv_status status = find(c, weight, i, !bias, &tensor);
        if (status != LCKV_OK)
            return status;
        if (tensor != NULL)
            sources[n++] = tensor;
        else
            n_missing++;
    }
    if (n > 0 && n_missing > 0)
        return fail(LCKV_MISMATCH,
                    "%s: some of the layers to average have biases and some have none", c->in.name);
    return n > 0 ? add_tensor(c, weight, layer, sources, n) : LCKV_OK;
}

/* Scaling of the llama3 kind travels as a tensor of divisors. */
static lckv_status add_rope_factors(struct converter *c)
{
    if (c->hparams.rope_scaling != ROPE_SCALING_LLAMA3)
        return add_weight(c, WEIGHT_ROPE_FACTORS, 0);
    uint32_t n = c->hparams.head_dim / 2;
    struct hparams plain = c->hparams;
    double *scaled, *unscaled;
    float *factors;
    plain.rope_scaling = ROPE_SCALING_NONE;
    lckv_status status = arena_alloc(&c->arena, n, sizeof *scaled, "rope factors", &scaled);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, n, sizeof *unscaled, "rope factors", &unscaled);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, n, sizeof *factors, "rope factors", &factors);
    if (status != LCKV_OK)
        return status;
    hparams_frequencies(&c->hparams, scaled);
    hparams_frequencies(&plain, unscaled);
    for (uint32_t d = 0; d < n; d++)
        factors[d] = (float)(unscaled[d] / scaled[d]);
    struct gguf_tensor *to = &c->tensors[c->n_tensors];
    *to = (struct gguf_tensor){
        .name = "rope_freqs.weight", .dtype = LCKV_DTYPE_F32, .n_dims = 1, .shape = {n, 1, 1, 1}};
    c->rows[c->n_tensors++].values = factors;
    c->total += n * sizeof *factors;
    return LCKV_OK;
}

static lckv_status list_tensors(struct converter *c)
{
    size_t most = WEIGHT_COUNT * ((size_t)c->hparams.n_layers + 1);
    lckv_status status =
        arena_alloc(&c->arena, most, sizeof *c->tensors, "the tensors", &c->tensors);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, most, sizeof *c->rows, "the tensors", &c->rows);
    for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT && !weight_is_per_layer(w); w++)
        status = w == WEIGHT_ROPE_FACTORS ? add_rope_factors(c) : add_weight(c, (enum weight)w, 0);
    for (uint32_t i = 0; i < c->hparams.n_layers; i++) {
        for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT; w++) {
            bool kv = w == WEIGHT_K || w == WEIGHT_V || w == WEIGHT_K_BIAS || w == WEIGHT_V_BIAS;
            if (!weight_is_per_layer((enum weight)w) || (kv && c->plan->layers[i].slot < 0))
                continue;
            status = kv ? add_kv(c, (enum weight)w, i) : add_weight(c, (enum weight)w, i);
        }
    }
    return status;
}

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
    if (options->dtype != LCKV_DTYPE_DEFAULT && !rows_can_be(options->dtype))
        return fail(LCKV_UNSUPPORTED, "dtype is %d; expected f32, f16, bf16, q8_0 or q4_0",
                    (int)options->dtype);
    if (options->init != LCKV_CONVERT_MEAN && options->init != LCKV_CONVERT_COPY)
        return fail(LCKV_INVALID_ARGUMENT, "init is %d; expected mean or copy", (int)options->init);
    return LCKV_OK;
}

/* Rows of packed files cannot be taken out as files store them. */
static lckv_status check_unpacked(const struct checkpoint *in)
{
    for (size_t i = 0; i < in->n_tensors; i++) {
        if (in->tensors[i].layout.group_rows > 0)
            return fail(LCKV_UNSUPPORTED,
                        "%s: packed for running; convert the file that it was packed from",
                        in->name);
    }
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
    lckv_status status = check_unpacked(&c->in);
    if (status == LCKV_OK)
        status = hparams_read(&c->in, &c->hparams);
    const struct text *own = &c->hparams.plan;
    if (status == LCKV_OK)
        status = plan_parse(own->length > 0 ? own->bytes : NULL, own->length, c->hparams.n_layers,
                            &c->allocator, &c->old_plan);
    if (status == LCKV_OK)
        status =
            weights_check(&c->in, &c->hparams, c->old_plan, c->options->log, c->options->log_user);
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
    struct converter c = {.options = options};
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
        status = list_tensors(&c);
    metadata_init(&c.metadata, &c.arena);
    if (status == LCKV_OK)
        status =
            describe(&c.in, &c.hparams, c.plan, c.tensors, c.n_tensors, &c.allocator, &c.metadata);
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
