/*
 * Safetensors: single files, sharded directories, and how malformed ones are refused.
 */
#include "base/status.h"
#include "format/checkpoint_open.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "allocator.h"
#include "folder.h"
#include "support.h"

/* Makes a file: the length, `json`, and data of 0, 1, 2, ... Returns the number of its bytes. */
static size_t make_safetensors(uint8_t file[1024], const char *json, size_t n_data)
{
    size_t length = strlen(json);
    ck_assert_uint_le(8 + length + n_data, 1024);
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(file + 8, json, length);
    for (size_t i = 0; i < n_data; i++)
        file[8 + length + i] = (uint8_t)i;
    return 8 + length + n_data;
}

static void write_safetensors(const char *name, const char *json, size_t n_data)
{
    uint8_t file[1024];
    folder_write(name, file, make_safetensors(file, json, n_data));
}

static void make_directory(void)
{
    folder_make();
    folder_write_text("config.json", "{\"model_type\": \"llama\"}");
}

static struct checkpoint checkpoint;

/* An open that fails gives back all that it took. */
static lckv_status open_directory(void)
{
    static struct counting counting;
    counting = (struct counting){.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_status status = checkpoint_open(&checkpoint, folder, &allocator);
    ck_assert(status == LCKV_OK || counting.out == 0);
    return status;
}

#define GOOD_HEADER                                                       \
    "{\"__metadata__\":{\"format\":\"pt\"},"                              \
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]}," \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   "
#define GOOD_DATA 16

/* ---- One file ---- */

START_TEST(reads_one_file)
{
    write_safetensors("model.safetensors", GOOD_HEADER, GOOD_DATA);
    folder_write_text("tokenizer.json", "{\"version\": \"1.0\"}");
    ck_assert_ok(open_directory());
    ck_assert_int_eq(checkpoint.kind, CHECKPOINT_HF);
    ck_assert_uint_eq(checkpoint.n_tensors, 2);
    ck_assert_str_eq(checkpoint.tensors[0].name.bytes, "a");
    const struct tensor *b = checkpoint_find(&checkpoint, "b");
    ck_assert_ptr_nonnull(b);
    ck_assert_int_eq(b->dtype, LCKV_DTYPE_BF16);
    ck_assert_uint_eq(b->n_dims, 2);
    ck_assert_uint_eq(b->shape[0], 2);
    ck_assert_uint_eq(b->shape[1], 3);
    ck_assert_uint_eq(b->shape[2], 1);
    ck_assert_uint_eq(b->n_bytes, 12);
    uint8_t bytes[2];
    ck_assert_ok(checkpoint_read(&checkpoint, b, 10, bytes, 2));
    ck_assert_mem_eq(bytes, "\x0e\x0f", 2);
    ck_assert_str_eq(checkpoint.config.bytes, "{\"model_type\": \"llama\"}");
    ck_assert_str_eq(checkpoint.tokenizer.bytes, "{\"version\": \"1.0\"}");
    ck_assert_uint_eq(checkpoint.tokenizer_config.length, 0);
    ck_assert_uint_eq(checkpoint.metadata.n_values, 0);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(a_file_stands_for_its_directory)
{
    write_safetensors("model.safetensors", GOOD_HEADER, GOOD_DATA);
    write_safetensors("other.safetensors", GOOD_HEADER, GOOD_DATA);
    ck_assert_ok(
        checkpoint_open(&checkpoint, folder_path("model.safetensors"), &memory_default_allocator));
    ck_assert_uint_eq(checkpoint.n_tensors, 2);
    checkpoint_close(&checkpoint);
    ck_assert_status(
        checkpoint_open(&checkpoint, folder_path("other.safetensors"), &memory_default_allocator),
        LCKV_BAD_FORMAT);
    ck_assert_error_has("other.safetensors: not a file of the model");
    int here = open(".", O_RDONLY);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_ok(checkpoint_open(&checkpoint, "model.safetensors", &memory_default_allocator));
    checkpoint_close(&checkpoint);
    ck_assert_int_eq(fchdir(here), 0);
    close(here);
}
END_TEST

START_TEST(says_what_is_missing)
{
    ck_assert_status(open_directory(), LCKV_IO);
    ck_assert_error_has("neither model.safetensors nor model.safetensors.index.json in ");
    ck_assert_error_has(folder);
    unlink(folder_path("config.json"));
    ck_assert_status(open_directory(), LCKV_IO);
    ck_assert_error_has("no config.json in ");
    ck_assert_error_has(folder);
}
END_TEST

/* Some writers leave room between tensors or behind the last. */
START_TEST(holes_are_fine)
{
    write_safetensors("model.safetensors",
                      "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]}}", 32);
    ck_assert_ok(open_directory());
    uint8_t first;
    ck_assert_ok(checkpoint_read(&checkpoint, &checkpoint.tensors[0], 0, &first, 1));
    ck_assert_uint_eq(first, 8);
    checkpoint_close(&checkpoint);
}
END_TEST

#define TENSOR(dtype, shape, offsets) \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *json; /* with 16 bytes of data */
    lckv_status status;
    const char *message;
} broken[] = {
    {"", LCKV_BAD_FORMAT, "header of 0 bytes"},
    {" ", LCKV_BAD_FORMAT, "not valid JSON"},
    {"[]", LCKV_BAD_FORMAT, "header: expected an object"},
    {"{\"a\"", LCKV_BAD_FORMAT, "not valid JSON"},
    {"{\"__metadata__\":[]}", LCKV_BAD_FORMAT, "__metadata__: expected an object"},
    {"{\"__metadata__\":null}", LCKV_BAD_FORMAT, "__metadata__: expected an object"},
    {"{\"a\":1}", LCKV_BAD_FORMAT, "tensor \"a\": expected an object"},
    {"{\"\":{}}", LCKV_BAD_FORMAT, "empty tensor name"},
    {"{\"a\":{},\"a\":{}}", LCKV_BAD_FORMAT, "duplicate"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", LCKV_BAD_FORMAT, "dtype: expected a string"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", LCKV_BAD_FORMAT,
     "shape: expected an array"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", LCKV_BAD_FORMAT,
     "data_offsets: expected two integers"},
    {TENSOR("1", "[4]", "[0,16]"), LCKV_BAD_FORMAT, "dtype: expected a string"},
    {TENSOR("\"F32\"", "4", "[0,16]"), LCKV_BAD_FORMAT, "shape: expected an array"},
    {TENSOR("\"I64\"", "[\"x\"]", "[0,16]"), LCKV_BAD_FORMAT, "shape: expected integers"},
    {TENSOR("\"I64\"", "[2]", "[8,24]"), LCKV_BAD_FORMAT, "not within the 16 bytes of data"},
    {TENSOR("\"F32\"", "[-4]", "[0,16]"), LCKV_BAD_FORMAT, "shape: expected integers"},
    {TENSOR("\"F32\"", "[4.0]", "[0,16]"), LCKV_BAD_FORMAT, "shape: expected integers"},
    {TENSOR("\"F32\"", "[4294967296,4294967296]", "[0,16]"), LCKV_BAD_FORMAT, "overflows"},
    {TENSOR("\"F32\"", "[4611686018427387904]", "[0,0]"), LCKV_BAD_FORMAT, "bytes overflows"},
    {TENSOR("\"F32\"", "[99999999999999999999]", "[0,16]"), LCKV_BAD_FORMAT, "shape: expected"},
    {TENSOR("\"F32\"", "[4]", "[0]"), LCKV_BAD_FORMAT, "data_offsets: expected two integers"},
    {TENSOR("\"F32\"", "[4]", "[0,16,16]"), LCKV_BAD_FORMAT, "data_offsets: expected"},
    {TENSOR("\"F32\"", "[4]", "[-16,0]"), LCKV_BAD_FORMAT, "data_offsets: expected"},
    {TENSOR("\"F32\"", "[4]", "[\"0\",16]"), LCKV_BAD_FORMAT, "data_offsets: expected"},
    {TENSOR("\"F32\"", "[4]", "[16,0]"), LCKV_BAD_FORMAT, "data_offsets 16 to 0"},
    {TENSOR("\"F32\"", "[4]", "[4,20]"), LCKV_BAD_FORMAT, "not within the 16 bytes of data"},
    {TENSOR("\"F32\"", "[4]", "[9223372036854775791,9223372036854775807]"), LCKV_BAD_FORMAT,
     "not within"},
    {TENSOR("\"F32\"", "[4]", "[0,12]"), LCKV_BAD_FORMAT, "hold 12 bytes, expected 16"},
    {TENSOR("\"BF16\"", "[4]", "[0,16]"), LCKV_BAD_FORMAT, "hold 16 bytes, expected 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
     LCKV_BAD_FORMAT, "tensors \"a\" and \"b\" overlap"},
    {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[3,7]}}",
     LCKV_BAD_FORMAT, "tensors \"a\" and \"b\" overlap at byte"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}garbage", LCKV_BAD_FORMAT,
     "not valid JSON"},
};

START_TEST(refuses_a_broken_header)
{
    write_safetensors("model.safetensors", broken[_i].json, 16);
    ck_assert_status(open_directory(), broken[_i].status);
    ck_assert_error_has("/model.safetensors");
    ck_assert_error_has(broken[_i].message);
}
END_TEST

static const struct {
    const char *json; /* with 16 bytes of data */
    const char *problem;
} unreadable[] = {
    {TENSOR("\"F64\"", "[2]", "[0,16]"), "dtype \"F64\" is not supported, expected F32, F16,"},
    {TENSOR("\"I64\"", "[1,2]", "[0,16]"), "dtype \"I64\" is not supported"},
    {TENSOR("\"BOOL\"", "[1,1,4,4]", "[0,16]"), "dtype \"BOOL\" is not supported"},
    {TENSOR("\"F8_E5M2\"", "[16]", "[0,16]"), "dtype \"F8_E5M2\" is not supported"},
    {TENSOR("\"f32\"", "[4]", "[0,16]"), "dtype \"f32\" is not supported"},
    {TENSOR("\"F32\"", "[]", "[0,4]"), "0 dimensions, expected 1 to 4"},
    {TENSOR("\"F32\"", "[1,1,1,2,2]", "[0,16]"), "5 dimensions, expected 1 to 4"},
    {TENSOR("\"F32\"", "[0]", "[0,0]"), "a dimension is 0"},
    {TENSOR("\"F32\"", "[0,4611686018427387904,64]", "[0,0]"), "a dimension is 0"},
};

START_TEST(a_tensor_that_cannot_be_read_does_not_stop_the_open)
{
    uint8_t byte;
    write_safetensors("model.safetensors", unreadable[_i].json, 16);
    ck_assert_ok(open_directory());
    const struct tensor *a = checkpoint_find(&checkpoint, "a");
    ck_assert_ptr_nonnull(a);
    ck_assert_status(checkpoint_check(&checkpoint, a), LCKV_UNSUPPORTED);
    ck_assert_error_has("/model.safetensors: tensor \"a\": ");
    ck_assert_error_has(unreadable[_i].problem);
    ck_assert_status(checkpoint_read(&checkpoint, a, 0, &byte, 1), LCKV_UNSUPPORTED);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(a_tensor_without_bytes_may_lie_within_another)
{
    write_safetensors("model.safetensors",
                      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                      "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]},"
                      "\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                      16);
    ck_assert_ok(open_directory());
    ck_assert_uint_eq(checkpoint.n_tensors, 3);
    ck_assert_ok(checkpoint_check(&checkpoint, checkpoint_find(&checkpoint, "a")));
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(refuses_impossible_header_lengths)
{
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, 1u << 30, 1024, 160};
    uint8_t file[1024];
    size_t size = make_safetensors(file, GOOD_HEADER, GOOD_DATA);
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(lengths[_i] >> (8 * i));
    folder_write("model.safetensors", file, size);
    ck_assert_status(open_directory(), LCKV_BAD_FORMAT);
    ck_assert_error_has("model.safetensors");
}
END_TEST

START_TEST(refuses_every_truncation)
{
    uint8_t file[1024];
    size_t size = make_safetensors(file, GOOD_HEADER, GOOD_DATA);
    for (size_t length = 0; length < size; length++) {
        folder_write("model.safetensors", file, length);
        ck_assert_status(open_directory(), LCKV_BAD_FORMAT);
        ck_assert_error_has("model.safetensors");
    }
}
END_TEST

START_TEST(survives_any_changed_byte)
{
    static const uint8_t values[] = {0x00, '"', '9', '}', 0xff};
    uint8_t file[1024];
    size_t size = make_safetensors(file, GOOD_HEADER, GOOD_DATA);
    for (size_t at = 0; at < size - GOOD_DATA; at++) {
        uint8_t before = file[at];
        for (size_t i = 0; i < sizeof values; i++) {
            file[at] = values[i];
            folder_write("model.safetensors", file, size);
            lckv_status status = open_directory();
            ck_assert(status == LCKV_OK || status == LCKV_BAD_FORMAT || status == LCKV_UNSUPPORTED);
            for (size_t t = 0; status == LCKV_OK && t < checkpoint.n_tensors; t++) {
                const struct tensor *tensor = &checkpoint.tensors[t];
                ck_assert_uint_le(tensor->offset + tensor->n_bytes, size);
            }
            checkpoint_close(&checkpoint);
        }
        file[at] = before;
    }
}
END_TEST

/* The file shrinks after it has been opened. */
START_TEST(reading_beyond_the_end_is_an_error)
{
    write_safetensors("model.safetensors", GOOD_HEADER, GOOD_DATA);
    ck_assert_ok(open_directory());
    ck_assert_int_eq(truncate(folder_path("model.safetensors"), 100), 0);
    uint8_t bytes[4];
    ck_assert_status(checkpoint_read(&checkpoint, &checkpoint.tensors[0], 0, bytes, 4),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("\"a\"");
    checkpoint_close(&checkpoint);
}
END_TEST

/* ---- Shards ---- */

#define ONE(name) "{\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"

static void write_shards(const char *index)
{
    write_safetensors("s1.safetensors",
                      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                      "\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                      8);
    write_safetensors("s2.safetensors", ONE("b"), 4);
    write_safetensors("twice.safetensors", ONE("a"), 4);
    folder_write_text("model.safetensors.index.json", index);
}

START_TEST(reads_shards)
{
    write_shards("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"c\":\"s1.safetensors\","
                 "\"b\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}}");
    ck_assert_ok(open_directory());
    ck_assert_uint_eq(checkpoint.n_files, 2);
    ck_assert_uint_eq(checkpoint.n_tensors, 3);
    uint8_t first;
    const struct tensor *c = checkpoint_find(&checkpoint, "c");
    ck_assert_ptr_nonnull(c);
    ck_assert_ok(checkpoint_read(&checkpoint, c, 0, &first, 1));
    ck_assert_uint_eq(first, 4);
    ck_assert_uint_ne(c->file, checkpoint_find(&checkpoint, "b")->file);
    checkpoint_close(&checkpoint);
    ck_assert_ok(
        checkpoint_open(&checkpoint, folder_path("s2.safetensors"), &memory_default_allocator));
    checkpoint_close(&checkpoint);
}
END_TEST

/* The index has tensors that no shard holds, and shards have tensors that the index lacks. */
START_TEST(shards_say_what_they_hold)
{
    write_shards("{\"weight_map\":{\"c\":\"s1.safetensors\",\"a\":\"s2.safetensors\","
                 "\"nowhere\":\"s2.safetensors\"}}");
    ck_assert_ok(open_directory());
    ck_assert_uint_eq(checkpoint.n_tensors, 3);
    ck_assert_ptr_nonnull(checkpoint_find(&checkpoint, "b"));
    ck_assert_ptr_null(checkpoint_find(&checkpoint, "nowhere"));
    uint8_t first;
    ck_assert_ok(checkpoint_read(&checkpoint, checkpoint_find(&checkpoint, "a"), 0, &first, 1));
    ck_assert_uint_eq(first, 0);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(a_single_file_goes_before_an_index)
{
    write_shards("no JSON at all");
    write_safetensors("model.safetensors", GOOD_HEADER, GOOD_DATA);
    ck_assert_ok(open_directory());
    ck_assert_uint_eq(checkpoint.n_files, 1);
    checkpoint_close(&checkpoint);
}
END_TEST

static const struct {
    const char *index;
    lckv_status status;
    const char *message;
} broken_indices[] = {
    {"", LCKV_BAD_FORMAT, "not valid JSON"},
    {"[]", LCKV_BAD_FORMAT, "expected an object"},
    {"{}", LCKV_BAD_FORMAT, "no weight_map"},
    {"{\"weight_map\":[]}", LCKV_BAD_FORMAT, "weight_map: expected an object"},
    {"{\"weight_map\":{}}", LCKV_BAD_FORMAT, "weight_map is empty"},
    {"{\"weight_map\":{\"a\":1}}", LCKV_BAD_FORMAT, "\"a\": expected a string"},
    {"{\"weight_map\":{\"a\":\"\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\".safetensors\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\"s1.bin\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\"/etc/s1.safetensors\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\\u0000.safetensors\"}}", LCKV_BAD_FORMAT,
     "plain name"},
    {"{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", LCKV_BAD_FORMAT, "plain name"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s2.safetensors\"}}", LCKV_BAD_FORMAT,
     "duplicate"},
    {"{\"weight_map\":{\"a\":\"gone.safetensors\"}}", LCKV_IO, "gone.safetensors"},
    {"{\"weight_map\":{\"c\":\"s1.safetensors\",\"a\":\"twice.safetensors\"}}", LCKV_BAD_FORMAT,
     "duplicate tensor \"a\""},
};

START_TEST(refuses_a_broken_index)
{
    write_shards(broken_indices[_i].index);
    ck_assert_status(open_directory(), broken_indices[_i].status);
    ck_assert_error_has(folder);
    ck_assert_error_has(broken_indices[_i].message);
}
END_TEST

/* The index has the name of a shard, but what it holds is no safetensors header. */
START_TEST(refuses_an_index_that_is_its_own_shard)
{
    write_shards("{\"weight_map\":{\"a\":\"self.safetensors\"}}");
    ck_assert_int_eq(symlink("model.safetensors.index.json", folder_path("self.safetensors")), 0);
    ck_assert_status(open_directory(), LCKV_BAD_FORMAT);
    ck_assert_error_has("self.safetensors");
}
END_TEST

START_TEST(refuses_one_file_under_two_names)
{
    write_shards("{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"link.safetensors\"}}");
    ck_assert_int_eq(symlink("s1.safetensors", folder_path("link.safetensors")), 0);
    ck_assert_status(open_directory(), LCKV_BAD_FORMAT);
    ck_assert_error_has("duplicate tensor");
}
END_TEST

/* Tensors that overlap in one file, while one of another file lies between their places. */
START_TEST(refuses_an_overlap_within_a_shard)
{
    char one[512], other[512];
    snprintf(one, sizeof one, "%-200s",
             "{\"p\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
             "\"q\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}}");
    snprintf(other, sizeof other, "%-200s",
             "{\"r\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[2,4]}}");
    write_safetensors("one.safetensors", one, 8);
    write_safetensors("other.safetensors", other, 8);
    folder_write_text("model.safetensors.index.json",
                      "{\"weight_map\":{\"p\":\"one.safetensors\",\"r\":\"other.safetensors\"}}");
    ck_assert_status(open_directory(), LCKV_BAD_FORMAT);
    ck_assert_error_has("one.safetensors: tensors \"p\" and \"q\" overlap");
}
END_TEST

START_TEST(refuses_links_in_a_circle)
{
    write_shards("{\"weight_map\":{\"a\":\"x.safetensors\"}}");
    ck_assert_int_eq(symlink("y.safetensors", folder_path("x.safetensors")), 0);
    ck_assert_int_eq(symlink("x.safetensors", folder_path("y.safetensors")), 0);
    ck_assert_status(open_directory(), LCKV_IO);
    ck_assert_error_has("x.safetensors");
}
END_TEST

/* ---- Out of memory ---- */

START_TEST(survives_every_failed_allocation)
{
    write_shards("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}");
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    for (; status == LCKV_OUT_OF_MEMORY; n++) {
        struct counting counting = {.n_allowed = n};
        lckv_allocator allocator = counting_allocator(&counting);
        status = checkpoint_open(&checkpoint, folder, &allocator);
        checkpoint_close(&checkpoint);
        ck_assert_uint_eq(counting.out, 0);
    }
    ck_assert_status(status, LCKV_OK);
    ck_assert_uint_gt(n, 1);
}
END_TEST

static void add_files(Suite *suite)
{
    TCase *tests = tcase_create("files");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_directory, folder_remove);
    tcase_add_test(tests, reads_one_file);
    tcase_add_test(tests, a_file_stands_for_its_directory);
    tcase_add_test(tests, says_what_is_missing);
    tcase_add_test(tests, holes_are_fine);
    tcase_add_loop_test(tests, refuses_a_broken_header, 0, COUNT(broken));
    tcase_add_loop_test(tests, a_tensor_that_cannot_be_read_does_not_stop_the_open, 0,
                        sizeof unreadable / sizeof unreadable[0]);
    tcase_add_test(tests, a_tensor_without_bytes_may_lie_within_another);
    tcase_add_loop_test(tests, refuses_impossible_header_lengths, 0, 5);
    tcase_add_test(tests, refuses_every_truncation);
    tcase_add_test(tests, survives_any_changed_byte);
    tcase_add_test(tests, reading_beyond_the_end_is_an_error);
    suite_add_tcase(suite, tests);
}

static void add_shards(Suite *suite)
{
    TCase *tests = tcase_create("shards");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_directory, folder_remove);
    tcase_add_test(tests, reads_shards);
    tcase_add_test(tests, shards_say_what_they_hold);
    tcase_add_test(tests, a_single_file_goes_before_an_index);
    tcase_add_loop_test(tests, refuses_a_broken_index, 0, COUNT(broken_indices));
    tcase_add_test(tests, refuses_an_index_that_is_its_own_shard);
    tcase_add_test(tests, refuses_one_file_under_two_names);
    tcase_add_test(tests, refuses_an_overlap_within_a_shard);
    tcase_add_test(tests, refuses_links_in_a_circle);
    tcase_add_test(tests, survives_every_failed_allocation);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("safetensors", add_files, add_shards)
