/*
 * The table of the layers' own embeddings. See input_table.h.
 */
#include "model/input_table.h"

#include "base/status.h"
#include "base/text.h"
#include "model/scales.h"

lckv_status input_table_open(struct input_table *table, struct checkpoint *checkpoint,
                             const struct tensor *tensor, uint32_t n_tokens, lckv_weights weights,
                             const lckv_allocator *allocator)
{
    const size_t n_bytes = (size_t)tensor->n_bytes;
    *table = (struct input_table){
        .tensor = tensor, .n_columns = (size_t)tensor->shape[1], .n_tokens = n_tokens};
    if (tensor->layout.lanes > 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s: tensor %s is packed; expected plain rows, as lckv "
                    "convert writes them",
                    checkpoint->name, quoted(tensor->name.bytes, tensor->name.length).text);
    table->row_bytes = (size_t)(tensor->n_bytes / tensor->shape[0]);
    table->is_mapped = weights != LCKV_WEIGHTS_COPIED && checkpoint_can_map(checkpoint, tensor);
    if (weights == LCKV_WEIGHTS_NONE)
        return LCKV_OK;
    if (table->is_mapped)
        return checkpoint_map(checkpoint, tensor, &table->rows);
    lckv_status status =
        memory_alloc_raw(allocator, n_bytes, "the embeddings of the layers", &table->owned);
    if (status == LCKV_OK)
        status = checkpoint_read(checkpoint, tensor, 0, table->owned, n_bytes);
    table->rows = table->owned;
    return status;
}

void input_table_close(struct input_table *table, const lckv_allocator *allocator)
{
    if (table->owned != NULL)
        memory_free(allocator, table->owned, (size_t)table->tensor->n_bytes, 1);
    *table = (struct input_table){.tensor = NULL};
}

uint64_t input_table_bytes(const struct input_table *table)
{
    return table->tensor != NULL ? table->tensor->n_bytes : 0;
}

void input_table_row(const struct input_table *table, lckv_token token, float *values)
{
    const uint32_t row = (uint32_t)token < table->n_tokens ? (uint32_t)token : 0;
    scales_dequantize(table->tensor, row, table->rows + row * table->row_bytes, table->n_columns,
                      values);
}
