/*
 * Memory: allocation through the caller's allocator, arithmetic on sizes, arenas.
 */
#include "base/arena.h"
#include "base/memory.h"

#include <stdio.h>
#include <unistd.h>

#include "allocator.h"
#include "support.h"

/* ---- Memory ---- */

START_TEST(allocations_are_zeroed_aligned_and_given_back_with_their_size)
{
    struct counting counting = {.n_allowed = 100};
    lckv_allocator allocator = counting_allocator(&counting);
    unsigned char *bytes;
    ck_assert_ok(memory_alloc(&allocator, 3, 7, "bytes", &bytes));
    ck_assert_uint_eq((uintptr_t)bytes % MEMORY_ALIGN, 0);
    for (size_t i = 0; i < 21; i++)
        ck_assert_uint_eq(bytes[i], 0);
    memory_free(&allocator, bytes, 3, 7);
    ck_assert_ok(memory_alloc(&allocator, 0, 7, "nothing", &bytes));
    ck_assert_ptr_nonnull(bytes);
    memory_free(&allocator, bytes, 0, 7);
    memory_free(&allocator, NULL, 3, 7);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* Memory pages of this process that are resident, in bytes. */
static long resident(void)
{
    long pages = 0, ignored;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld %ld", &ignored, &pages), 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

START_TEST(large_blocks_take_no_memory_before_they_are_touched)
{
    const long mib = 1 << 20;
    const size_t sizes[] = {(4u << 20) - 1, 4u << 20, (4u << 20) + 1, (64u << 20) + 4097};
    for (int twice = 0; twice < 2; twice++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            unsigned char *bytes;
            ck_assert_ok(memory_alloc(&memory_default_allocator, 1, sizes[i], "bytes", &bytes));
            ck_assert_uint_eq((uintptr_t)bytes % MEMORY_ALIGN, 0);
            size_t n_zero = 0;
            while (n_zero < sizes[i] && bytes[n_zero] == 0)
                n_zero++;
            ck_assert_uint_eq(n_zero, sizes[i]);
            memset(bytes, 0xa5, sizes[i]);
            memory_free(&memory_default_allocator, bytes, 1, sizes[i]);
        }
    }
    unsigned char *bytes;
    long before = resident();
    ck_assert_ok(memory_alloc(&memory_default_allocator, 1, 64 * mib, "bytes", &bytes));
    ck_assert_int_lt(resident() - before, 16 * mib);
    memset(bytes, 1, 64 * mib);
    ck_assert_int_gt(resident() - before, 48 * mib);
    memory_free(&memory_default_allocator, bytes, 1, 64 * mib);
    ck_assert_int_lt(resident() - before, 16 * mib);
    ck_assert_status(memory_alloc(&memory_default_allocator, 1, SIZE_MAX, "all", &bytes),
                     LCKV_OUT_OF_MEMORY);
}
END_TEST

START_TEST(refused_and_overflowing_allocations_say_for_what)
{
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    void *pointer = &counting;
    ck_assert_status(memory_alloc(&allocator, 5, 10, "a vocabulary", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_error_has("50 bytes for a vocabulary");
    ck_assert_status(memory_alloc(&allocator, SIZE_MAX / 2, 3, "a tensor", &pointer),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_error_has("a tensor");
    ck_assert_ptr_eq(pointer, &counting);
}
END_TEST

START_TEST(growing_keeps_contents_and_zeroes_the_rest)
{
    struct counting counting = {.n_allowed = 2};
    lckv_allocator allocator = counting_allocator(&counting);
    uint32_t *array = NULL;
    size_t capacity = 0;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, 1, sizeof *array, "numbers"));
    ck_assert_uint_ge(capacity, 1);
    for (size_t i = 0; i < capacity; i++)
        array[i] = (uint32_t)i + 1;
    size_t before = capacity;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, before + 1, sizeof *array, "numbers"));
    ck_assert_uint_ge(capacity, 2 * before);
    for (size_t i = 0; i < capacity; i++)
        ck_assert_uint_eq(array[i], i < before ? i + 1 : 0);

    uint32_t *same = array;
    size_t same_capacity = capacity;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, capacity, sizeof *array, "numbers"));
    ck_assert_status(
        memory_grow(&allocator, &array, &capacity, capacity + 1, sizeof *array, "numbers"),
        LCKV_OUT_OF_MEMORY);
    ck_assert_status(memory_grow(&allocator, &array, &capacity, SIZE_MAX, sizeof *array, "numbers"),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_ptr_eq(array, same);
    ck_assert_uint_eq(capacity, same_capacity);
    memory_free(&allocator, array, capacity, sizeof *array);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(allocators_are_checked)
{
    struct {
        lckv_allocator known;
        uint64_t unknown;
    } newer = {.known = memory_default_allocator};
    lckv_allocator given = memory_default_allocator, copy;
    ck_assert_ok(memory_choose(NULL, &copy));
    ck_assert(copy.alloc == memory_default_allocator.alloc);
    given = (lckv_allocator){.size = sizeof given};
    ck_assert_ok(memory_choose(&given, &copy));
    ck_assert(copy.free == memory_default_allocator.free);
    given.alloc = counting_alloc;
    ck_assert_status(memory_choose(&given, &copy), LCKV_INVALID_ARGUMENT);
    given.size = sizeof given - 1;
    ck_assert_status(memory_choose(&given, &copy), LCKV_INVALID_ARGUMENT);
    newer.known.size = sizeof newer;
    ck_assert_ok(memory_choose(&newer.known, &copy));
    ck_assert_uint_eq(copy.size, sizeof copy);
    newer.unknown = 1;
    ck_assert_status(memory_choose(&newer.known, &copy), LCKV_INVALID_ARGUMENT);
}
END_TEST

START_TEST(checked_arithmetic_refuses_to_wrap)
{
    size_t size = 99;
    uint64_t wide = 99;
    ck_assert(!checked_multiply(SIZE_MAX / 2 + 1, 2, &size) && size == 99);
    ck_assert(!checked_add(SIZE_MAX, 1, &size) && size == 99);
    ck_assert(!checked_multiply64(1ull << 32, 1ull << 32, &wide) && wide == 99);
    ck_assert(!checked_add64(UINT64_MAX - 1, 2, &wide) && wide == 99);
    ck_assert(checked_multiply(SIZE_MAX, 1, &size) && size == SIZE_MAX);
    ck_assert(checked_multiply(SIZE_MAX, 0, &size) && size == 0);
    ck_assert(checked_add(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
    ck_assert(checked_multiply64(UINT32_MAX, UINT32_MAX, &wide) && wide == 0xFFFFFFFE00000001u);
    ck_assert(checked_add64(UINT64_MAX, 0, &wide) && wide == UINT64_MAX);
}
END_TEST

/* ---- Arenas ---- */

START_TEST(arena_allocations_are_zeroed_aligned_and_apart)
{
    struct counting counting = {.n_allowed = 1000};
    lckv_allocator allocator = counting_allocator(&counting);
    struct arena arena;
    unsigned char *pieces[400];
    size_t sizes[400];
    arena_init(&arena, &allocator);
    for (size_t i = 0; i < 400; i++) {
        sizes[i] = i % 50 == 49 ? 30000 : i * 7 % 300;
        ck_assert_ok(arena_alloc(&arena, sizes[i], 1, "a piece", &pieces[i]));
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_uint_eq(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_uint_eq(pieces[i][k], i % 251);
    ck_assert_uint_eq(arena.total, counting.out);
    arena_release(&arena);
    ck_assert_uint_eq(counting.out, 0);
    ck_assert_ok(arena_alloc(&arena, 1, 8, "another life", &pieces[0]));
    arena_release(&arena);
}
END_TEST

START_TEST(arena_failures_leave_it_usable)
{
    struct counting counting = {.n_allowed = 1};
    lckv_allocator allocator = counting_allocator(&counting);
    struct arena arena;
    void *pointer;
    const char *copy;
    arena_init(&arena, &allocator);
    ck_assert_ok(arena_copy(&arena, "ab\0c", 4, &copy));
    ck_assert_mem_eq(copy, "ab\0c", 5);
    ck_assert_status(arena_alloc(&arena, 1, 1 << 20, "a big one", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_alloc(&arena, SIZE_MAX, 2, "a product", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_alloc(&arena, SIZE_MAX - 8, 1, "a rounding", &pointer),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_copy(&arena, "", SIZE_MAX, &copy), LCKV_OUT_OF_MEMORY);
    ck_assert_ok(arena_copy(&arena, NULL, 0, &copy));
    ck_assert_str_eq(copy, "");
    arena_release(&arena);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

static void add_memory(Suite *suite)
{
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase, allocations_are_zeroed_aligned_and_given_back_with_their_size);
    tcase_add_test(tcase, large_blocks_take_no_memory_before_they_are_touched);
    tcase_add_test(tcase, refused_and_overflowing_allocations_say_for_what);
    tcase_add_test(tcase, growing_keeps_contents_and_zeroes_the_rest);
    tcase_add_test(tcase, allocators_are_checked);
    tcase_add_test(tcase, checked_arithmetic_refuses_to_wrap);
    tcase_add_test(tcase, arena_allocations_are_zeroed_aligned_and_apart);
    tcase_add_test(tcase, arena_failures_leave_it_usable);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("memory", add_memory)
