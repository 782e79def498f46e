/*
 * Selects the tensors of the text model by their names. See text_tensors.h.
 */
#include "model/text_tensors.h"

#include "base/text.h"
#include "format/tensor_table.h"

#include <string.h>

#define MODEL "model."

/* How names of the text model begin, in newer files and in older ones, and what they become. */
static const struct {
    const char *from, *to;
} renamed[] = {
    {"model.language_model.", MODEL},
    {"language_model.model.", MODEL},
    {"language_model.lm_head.", "lm_head."},
};

/* How names of other parts begin, behind "model." or at once; a dot follows. */
static const char *const other_parts[] = {
    "vision_tower", "multi_modal_projector", "embed_vision",   "vision_embedder",
    "audio_tower",  "embed_audio",           "audio_embedder",
};
#define N_PARTS (sizeof other_parts / sizeof other_parts[0])

static bool begins_with(struct text name, const char *prefix)
{
    const size_t length = strlen(prefix);
    return name.length >= length && memcmp(name.bytes, prefix, length) == 0;
}

static struct text without(struct text name, const char *prefix)
{
    const size_t length = begins_with(name, prefix) ? strlen(prefix) : 0;
    return (struct text){name.bytes + length, name.length - length};
}

/* The other part that a tensor belongs to; N_PARTS if it belongs to none. */
static size_t part_of(struct text name)
{
    const struct text rest = without(name, MODEL);
    size_t part = 0;
    for (; part < N_PARTS; part++) {
        const struct text behind = without(rest, other_parts[part]);
        if (behind.length < rest.length && begins_with(behind, "."))
            break;
    }
    return part;
}

static lckv_status rename_tensor(struct checkpoint *checkpoint, struct text *name)
{
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        const size_t length = strlen(renamed[i].to);
        const struct text rest = without(*name, renamed[i].from);
        char *bytes;
        if (rest.length == name->length)
            continue;
        lckv_status status =
            arena_alloc(&checkpoint->arena, length + rest.length + 1, 1, "a name", &bytes);
        if (status != LCKV_OK)
            return status;
        memcpy(bytes, renamed[i].to, length);
        memcpy(bytes + length, rest.bytes, rest.length);
        *name = (struct text){bytes, length + rest.length};
        return LCKV_OK;
    }
    return LCKV_OK;
}

lckv_status text_tensors_select(struct checkpoint *checkpoint, const struct hparams *h,
                                const struct remarks *remarks)
{
    size_t n_kept = 0, n_of_part[N_PARTS + 1] = {0};
    lckv_status status = LCKV_OK;
    if (!h->has_other_parts)
        return LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < checkpoint->n_tensors; i++) {
        const size_t part = part_of(checkpoint->tensors[i].name);
        n_of_part[part]++;
        if (part < N_PARTS)
            continue;
        checkpoint->tensors[n_kept] = checkpoint->tensors[i];
        status = rename_tensor(checkpoint, &checkpoint->tensors[n_kept++].name);
    }
    if (status != LCKV_OK)
        return status;
    checkpoint->n_tensors = n_kept;
    for (size_t part = 0; part < N_PARTS; part++) {
        if (n_of_part[part] > 0)
            remark(remarks, "the tensors of %s (%zu) are not used: the model runs on text alone",
                   other_parts[part], n_of_part[part]);
    }
    return tensor_table_finish(checkpoint);
}
