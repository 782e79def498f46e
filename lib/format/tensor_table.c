/*
 * Checks the tensors of a checkpoint against each other. They are sorted first, so that the time is
 * n log n.
 */
#include "format/tensor_table.h"

#include "base/status.h"
#include "format/order.h"

#include <inttypes.h>

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a;
    const struct tensor *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *x = a;
    const struct tensor *y = b;
    return text_compare(x->name, y->name);
}

/* Tensors without bytes, which cannot be read, may lie anywhere. */
static lckv_status check_overlaps(struct checkpoint *checkpoint)
{
    struct tensor *tensors = checkpoint->tensors;
    order_sort(tensors, checkpoint->n_tensors, sizeof *tensors, by_place);
    const struct tensor *a = NULL;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const struct tensor *b = &tensors[i];
        if (b->n_bytes == 0)
            continue;
        if (a != NULL && a->file == b->file && b->offset - a->offset < a->n_bytes)
            return fail(LCKV_BAD_FORMAT, "%s: tensors %s and %s overlap at byte %" PRIu64,
                        checkpoint->files[a->file].name, quoted(a->name.bytes, a->name.length).text,
                        quoted(b->name.bytes, b->name.length).text, b->offset);
        a = b;
    }
    return LCKV_OK;
}

static lckv_status check_duplicates(struct checkpoint *checkpoint)
{
    struct tensor *tensors = checkpoint->tensors;
    order_sort(tensors, checkpoint->n_tensors, sizeof *tensors, by_name);
    for (size_t i = 1; i < checkpoint->n_tensors; i++) {
        const struct tensor *a = &tensors[i - 1];
        const struct tensor *b = &tensors[i];
        if (text_compare(a->name, b->name) != 0)
            continue;
        struct quoted name = quoted(a->name.bytes, a->name.length);
        if (a->file == b->file)
            return fail(LCKV_BAD_FORMAT, "%s: duplicate tensor %s", checkpoint->files[a->file].name,
                        name.text);
        return fail(LCKV_BAD_FORMAT, "%s: duplicate tensor %s, also in %s",
                    checkpoint->files[a->file].name, name.text, checkpoint->files[b->file].name);
    }
    return LCKV_OK;
}

lckv_status tensor_table_finish(struct checkpoint *checkpoint)
{
    lckv_status status = check_overlaps(checkpoint);
    return status == LCKV_OK ? check_duplicates(checkpoint) : status;
}
