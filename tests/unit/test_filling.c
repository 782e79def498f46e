/*
 * Filling matrices piece by piece: pieces may end within a head whose rows change places.
 */
#include "model/filling.h"

#include "small_model.h"

enum { N_HEADS = 8, HEAD_DIM = 192, ROWS = N_HEADS * HEAD_DIM, COLUMNS = 256 };

static const lckv_dtype dtypes[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};
static const struct matrix_layout layouts[] = {{8, false}, {16, true}, {16, false}};

/* `name`, [ROWS][COLUMNS] of a type of a GGUF file that has nothing else. */
static void open_tensor(struct checkpoint *checkpoint, const char *name, lckv_dtype dtype)
{
    struct small_model model = {.n_tensors = 0};
    char path[FOLDER_PATH];
    arena_init(&model.arena, &memory_default_allocator);
    metadata_init(&model.metadata, &model.arena);
    small_add(&model, name, dtype, ROWS, COLUMNS);
    small_write(&model, folder_join(path, "one.gguf"));
    ck_assert_ok(checkpoint_open(checkpoint, path, &memory_default_allocator));
}

/* What is not read from the file is NaN. */
static uint8_t *make_room(size_t n_bytes)
{
    void *room;
    ck_assert_int_eq(posix_memalign(&room, PACKED_ALIGNMENT, n_bytes), 0);
    return memset(room, 0xFF, n_bytes);
}

static void check_rows(const struct matrix *matrix, uint32_t paired_head_dim, const uint8_t *data)
{
    const size_t row_bytes = COLUMNS * dtype_info(matrix->dtype)->block_bytes;
    float got[COLUMNS], expected[COLUMNS];
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t source = filling_source_row(row, paired_head_dim);
        ck_assert_uint_lt(source, ROWS);
        blocks_dequantize(matrix->dtype, data + source * row_bytes, COLUMNS, expected);
        matrix_unpack_row(matrix, row, got);
        ck_assert_mem_eq(got, expected, sizeof got);
    }
}

START_TEST(pieces_may_end_within_a_head)
{
    static const char name[] = "blk.0.attn_q.weight";
    struct checkpoint checkpoint;
    open_tensor(&checkpoint, name, dtypes[_i]);
    const struct tensor *tensor = checkpoint_find(&checkpoint, name);
    ck_assert_ptr_nonnull(tensor);
    const struct gguf_tensor written = {
        .name = name, .dtype = dtypes[_i], .n_dims = 2, .shape = {ROWS, COLUMNS, 1, 1}};
    uint8_t *data = small_data(&written);
    for (size_t l = 0; l < COUNT(layouts); l++) {
        for (uint32_t head_dim = 0; head_dim <= HEAD_DIM; head_dim += HEAD_DIM) {
            struct matrix matrix;
            struct filling filling;
            ck_assert_ok(filling_init(&filling, tensor, head_dim, layouts[l], &matrix));
            /* A small machine's pieces, so that several heads are cut. */
            filling.strips_at_once = 5;
            filling.n_pieces = (matrix.size.n_strips + 4) / 5;
            ck_assert_uint_ne(5 * matrix.size.strip_rows % HEAD_DIM, 0);
            filling.piece_bytes = (5 * matrix.size.strip_rows + 2 * HEAD_DIM) * filling.row_bytes;
            uint8_t *packed = make_room(matrix.size.n_bytes);
            for (size_t piece = 0; piece < filling.n_pieces; piece++) {
                uint8_t *buffer = make_room(filling.piece_bytes);
                ck_assert_ok(filling_pack(&filling, &checkpoint, piece, buffer, packed));
                free(buffer);
            }
            matrix.data = packed;
            check_rows(&matrix, head_dim, data);
            free(packed);
        }
    }
    free(data);
    checkpoint_close(&checkpoint);
}
END_TEST

/* The library's own cut, which a megabyte makes two pieces of. */
START_TEST(long_matrices_come_in_pieces)
{
    struct checkpoint checkpoint;
    open_tensor(&checkpoint, "blk.0.attn_q.weight", LCKV_DTYPE_F32);
    struct matrix matrix;
    struct filling filling;
    ck_assert_ok(filling_init(&filling, &checkpoint.tensors[0], HEAD_DIM, layouts[0], &matrix));
    ck_assert_uint_eq(filling.n_pieces, 2);
    ck_assert_uint_le(filling.piece_bytes, checkpoint.tensors[0].n_bytes);
    ck_assert_uint_ge(filling.piece_bytes,
                      filling.strips_at_once * matrix.size.strip_rows * filling.row_bytes);
    checkpoint_close(&checkpoint);
}
END_TEST

static void add_filling(Suite *suite)
{
    TCase *tcase = tcase_create("filling");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pieces_may_end_within_a_head, 0, (int)COUNT(dtypes));
    tcase_add_test(tcase, long_matrices_come_in_pieces);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("filling", add_filling)
