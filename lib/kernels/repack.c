/*
 * Moves packed matrices from one layout to another: fields change the lanes that they stand in.
 */
#include "kernels/matrix.h"

#include <string.h>

/*
 * Where the fields of one block, or of its scales, stand in both layouts. A lane is the place of
 * the row in its strip.
 */
struct place {
    uint8_t *to;
    const uint8_t *from;
    size_t to_rows, to_lane, from_rows, from_lane;
};

static void move_fields(struct place *place, size_t n_fields, size_t field_bytes, uint8_t flip)
{
    for (size_t f = 0; f < n_fields; f++) {
        uint8_t *to = place->to + place->to_lane * field_bytes;
        const uint8_t *from = place->from + place->from_lane * field_bytes;
        for (size_t i = 0; i < field_bytes; i++)
            to[i] = (uint8_t)(from[i] ^ flip);
        place->to += place->to_rows * field_bytes;
        place->from += place->from_rows * field_bytes;
    }
}

/* Moves one row from the strip at `from` into the strip at `to`. */
static void move_row(lckv_dtype dtype, struct place strips, size_t n_blocks, uint8_t flip)
{
    const struct packed_form form = packed_form(dtype);
    for (size_t b = 0; b < n_blocks; b++) {
        struct packed_block to = packed_block(form, strips.to_rows, b);
        struct packed_block from = packed_block(form, strips.from_rows, b);
        struct place scales = strips, body = strips;
        scales.to += to.scales;
        scales.from += from.scales;
        body.to += to.body;
        body.from += from.body;
        move_fields(&scales, form.scale_halves, 2, 0);
        move_fields(&scales, form.scale_quads, 4, 0);
        move_fields(&scales, form.scale_bytes, 1, 0);
        move_fields(&body, form.body_fields, form.body_field_bytes, flip);
    }
}

void matrix_repack_strip(const struct matrix *matrix, uint32_t strip, struct matrix_layout layout,
                         const struct packed_size *size, const uint8_t *strips, uint32_t first,
                         uint8_t *to)
{
    size_t rows = matrix->size.strip_rows;
    bool flips =
        matrix->dtype == LCKV_DTYPE_Q8_0 && matrix->layout.unsigned_bytes != layout.unsigned_bytes;
    memset(to, 0, matrix->size.strip_bytes);
    for (size_t lane = 0; lane < rows; lane++) {
        size_t row = strip * rows + lane;
        if (row >= matrix->n_rows)
            break;
        struct place place = {.to = to,
                              .from = strips + (row / size->strip_rows - first) * size->strip_bytes,
                              .to_rows = rows,
                              .to_lane = lane,
                              .from_rows = size->strip_rows,
                              .from_lane = row % size->strip_rows};
        move_row(matrix->dtype, place, matrix->size.n_blocks, flips ? 0x80 : 0);
    }
}
