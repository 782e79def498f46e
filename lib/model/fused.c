/*
 * Splits tensors that hold several weights. See fused.h.
 */
#include "model/fused.h"

#include "base/status.h"
#include "format/tensor_table.h"
#include "model/roles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST_PARTS 3

/* In GGUF files, gate and up have the name of up. A name of "" is that of no tensor. */
static const struct fused {
    const char *gguf, *hf;
    enum weight parts[MOST_PARTS];
    uint32_t n_parts;
    bool stacked; /* one behind the other along a third dimension, and of no layer */
} all_fused[] = {
    {"attn_qkv.weight", "self_attn.qkv_proj.weight", {WEIGHT_Q, WEIGHT_K, WEIGHT_V}, 3, false},
    {"ffn_up.weight", "mlp.gate_up_proj.weight", {WEIGHT_GATE, WEIGHT_UP}, 2, false},
    {"altup_proj.weight",
     "",
     {WEIGHT_STREAM_IN_1, WEIGHT_STREAM_IN_2, WEIGHT_STREAM_IN_3},
     ALTUP_SIDE_STREAMS,
     true},
    {"altup_unembd_proj.weight",
     "",
     {WEIGHT_STREAM_OUT_1, WEIGHT_STREAM_OUT_2, WEIGHT_STREAM_OUT_3},
     ALTUP_SIDE_STREAMS,
     true},
};
#define N_FUSED (sizeof all_fused / sizeof all_fused[0])

const char *fused_stack(enum weight first, const enum weight **parts, uint32_t *n_parts)
{
    for (size_t i = 0; i < N_FUSED; i++) {
        if (all_fused[i].stacked && all_fused[i].parts[0] == first) {
            *parts = all_fused[i].parts;
            *n_parts = all_fused[i].n_parts;
            return all_fused[i].gguf;
        }
    }
    return NULL;
}

static lckv_status check_stack(const struct checkpoint *checkpoint, const struct tensor *tensor,
                               uint64_t n_parts, uint64_t rows, uint64_t columns)
{
    const uint64_t *shape = tensor->shape;
    if (tensor->n_dims == 3 && shape[0] == n_parts && shape[1] == rows && shape[2] == columns)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT,
                "%s: tensor %s has %u dimensions, [%" PRIu64 ", %" PRIu64 ", %" PRIu64
                "]; expected three, [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]",
                checkpoint->name, quoted(tensor->name.bytes, tensor->name.length).text,
                tensor->n_dims, shape[0], shape[1], shape[2], n_parts, rows, columns);
}

static lckv_status check_rows(const struct checkpoint *checkpoint, const struct tensor *tensor,
                              uint64_t n_rows)
{
    const char *name = quoted(tensor->name.bytes, tensor->name.length).text;
    if (tensor->n_dims != 2 || tensor->shape[0] != n_rows)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s has %" PRIu64 " rows; expected %" PRIu64
                    ", those of the weights that it holds",
                    checkpoint->name, name, tensor->shape[0], n_rows);
    return LCKV_OK;
}

/* Weights are cut out of plain rows only. */
static lckv_status check_form(const struct checkpoint *checkpoint, const struct tensor *tensor)
{
    if (tensor->layout.lanes > 0 || tensor->scales != NULL)
        return fail(LCKV_UNSUPPORTED,
                    "%s: tensor %s holds several weights; expected that it is neither packed nor "
                    "f8_e4m3",
                    checkpoint->name, quoted(tensor->name.bytes, tensor->name.length).text);
    return LCKV_OK;
}

/* Splits the tensor of one layer. The first part takes its place, the others go to the end. */
static lckv_status split(struct checkpoint *checkpoint, const struct hparams *h,
                         const struct fused *fused, uint32_t layer, size_t place)
{
    const struct tensor whole = checkpoint->tensors[place];
    uint64_t n_rows[MOST_PARTS], sum = 0, columns = 0, offset = whole.offset;
    for (uint32_t p = 0; p < fused->n_parts; p++) {
        weight_shape(h, fused->parts[p], layer, &n_rows[p], &columns);
        sum += n_rows[p];
    }
    lckv_status status = checkpoint_check(checkpoint, &whole);
    if (status == LCKV_OK && fused->stacked)
        status = check_stack(checkpoint, &whole, fused->n_parts, n_rows[0], columns);
    else if (status == LCKV_OK)
        status = check_rows(checkpoint, &whole, sum);
    if (status == LCKV_OK)
        status = check_form(checkpoint, &whole);
    for (uint32_t p = 0; status == LCKV_OK && p < fused->n_parts; p++) {
        struct tensor *part = &checkpoint->tensors[p == 0 ? place : checkpoint->n_tensors++];
        char name[WEIGHT_NAME_BYTES];
        weight_name(h->architecture, checkpoint->kind, fused->parts[p], layer, name);
        *part = whole;
        part->name.length = strlen(name);
        status = arena_copy(&checkpoint->arena, name, part->name.length, &part->name.bytes);
        part->n_dims = 2;
        part->shape[0] = n_rows[p];
        part->shape[1] = columns;
        part->shape[2] = 1;
        part->n_bytes = whole.n_bytes / sum * n_rows[p];
        part->offset = offset;
        offset += part->n_bytes;
    }
    return status;
}

/* The fused tensor of a layer, or NULL if the model has none, or its weights stand alone. */
static const struct tensor *find(const struct checkpoint *checkpoint, const struct hparams *h,
                                 const struct fused *fused, uint32_t layer)
{
    const bool gguf = checkpoint->kind == CHECKPOINT_GGUF;
    const bool exists =
        fused->stacked ? h->n_side_streams > 0 && layer == 0 && gguf : h->architecture->fused;
    char prefix[32] = "", name[WEIGHT_NAME_BYTES], first[WEIGHT_NAME_BYTES];
    if (!fused->stacked)
        snprintf(prefix, sizeof prefix, "%s%" PRIu32 ".", gguf ? "blk." : "model.layers.", layer);
    snprintf(name, sizeof name, "%s%s", prefix, gguf ? fused->gguf : fused->hf);
    weight_name(h->architecture, checkpoint->kind, fused->parts[0], layer, first);
    return exists && checkpoint_find(checkpoint, first) == NULL ? checkpoint_find(checkpoint, name)
                                                                : NULL;
}

lckv_status fused_split(struct checkpoint *checkpoint, const struct hparams *h)
{
    const size_t n_tensors = checkpoint->n_tensors;
    struct tensor *tensors;
    size_t *places, n_places = 0;
    if ((!h->architecture->fused && h->n_side_streams == 0) || n_tensors == 0)
        return LCKV_OK;
    lckv_status status =
        arena_alloc(&checkpoint->arena, n_tensors + N_FUSED * (MOST_PARTS - 1) * h->n_layers,
                    sizeof *tensors, "the list of tensors", &tensors);
    if (status == LCKV_OK)
        status = arena_alloc(&checkpoint->arena, N_FUSED * h->n_layers, sizeof *places,
                             "the list of tensors", &places);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < N_FUSED * h->n_layers; i++) {
        const struct tensor *found =
            find(checkpoint, h, &all_fused[i % N_FUSED], (uint32_t)(i / N_FUSED));
        places[i] = found != NULL ? (size_t)(found - checkpoint->tensors) : n_tensors;
        n_places += found != NULL;
    }
    if (n_places == 0)
        return LCKV_OK;
    memcpy(tensors, checkpoint->tensors, n_tensors * sizeof *tensors);
    checkpoint->tensors = tensors;
    for (size_t i = 0; status == LCKV_OK && i < N_FUSED * h->n_layers; i++) {
        if (places[i] < n_tensors)
            status =
                split(checkpoint, h, &all_fused[i % N_FUSED], (uint32_t)(i / N_FUSED), places[i]);
    }
    return status == LCKV_OK ? tensor_table_finish(checkpoint) : status;
}
