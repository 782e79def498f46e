/*
 * Conversions between float32 and the two halves: every half comes back as it was, and what lies
 * between two of them becomes the nearer one or, in the middle, the one whose last bit is 0.
 */
#include "kernels/halves.h"

#include <math.h>

#include "support.h"

struct half_type {
    const char *name;
    float (*to_f32)(uint16_t half);
    uint16_t (*from_f32)(float value);
    uint16_t infinity;
};

static const struct half_type types[] = {{"f16", f16_to_f32, f32_to_f16, 0x7c00},
                                         {"bf16", bf16_to_f32, f32_to_bf16, 0x7f80}};

static void check(const struct half_type *type, float value, uint16_t expected)
{
    uint16_t half = type->from_f32(value), negative = type->from_f32(-value);
    if (half != expected || negative != (expected | 0x8000))
        ck_abort_msg("%s of %a is 0x%04x and of its negative 0x%04x; expected 0x%04x", type->name,
                     (double)value, half, negative, expected);
}

/* Denormals, zeros and infinities too. */
START_TEST(every_half_comes_back)
{
    const struct half_type *type = &types[_i];
    for (uint16_t half = 0; half <= type->infinity; half++)
        check(type, type->to_f32(half), half);
    ck_assert(isinf(type->to_f32(type->infinity)));
}
END_TEST

START_TEST(between_two_halves_the_nearer_one_counts)
{
    const struct half_type *type = &types[_i];
    for (uint16_t half = 0; half + 1 < type->infinity; half++) {
        const uint16_t next = (uint16_t)(half + 1);
        const float low = type->to_f32(half), high = type->to_f32(next);
        const float middle = low + (high - low) / 2; /* exact: float32 has more bits */
        check(type, middle, half % 2 == 0 ? half : next);
        check(type, nextafterf(middle, 0), half);
        check(type, nextafterf(middle, INFINITY), next);
    }
}
END_TEST

START_TEST(what_is_too_large_becomes_infinite_and_nan_stays)
{
    const struct half_type *type = &types[_i];
    const uint16_t largest = (uint16_t)(type->infinity - 1);
    const float step = type->to_f32(largest) - type->to_f32((uint16_t)(largest - 1));
    const float beyond = type->to_f32(largest) + step / 2;
    check(type, nextafterf(beyond, 0), largest);
    check(type, beyond, type->infinity);
    check(type, INFINITY, type->infinity);
    ck_assert(isnan(type->to_f32(type->from_f32(NAN))));
}
END_TEST

static void add_halves(Suite *suite)
{
    TCase *tests = tcase_create("halves");
    tcase_add_loop_test(tests, every_half_comes_back, 0, 2);
    tcase_add_loop_test(tests, between_two_halves_the_nearer_one_counts, 0, 2);
    tcase_add_loop_test(tests, what_is_too_large_becomes_infinite_and_nan_stays, 0, 2);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("halves", add_halves)
