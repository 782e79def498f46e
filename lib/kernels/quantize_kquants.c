/*
 * Floats into super-blocks. See quantize_kquants.h.
 *
 * What is minimised is the sum of squared errors. For each sub-block some steps from number to
 * number are tried. Each rounds the values to numbers, and for these numbers the best scale (and
 * minimum) follow by least squares. Then the scales are rounded, and the numbers are chosen for
 * what the scales have become.
 */
#include "kernels/quantize_kquants.h"

#include "kernels/halves.h"
#include "kernels/kquants.h"

#include <math.h>

/* The nearest integer within 0 .. `most`; 0 for NaN. */
static float nearest(float x, float most)
{
    x = x > 0 ? x : 0;
    x = x < most ? x : most;
    return (float)(int32_t)(x + 0.5f);
}

/* Sums are kept in parts, so that compilers make vectors of them. */
#define PARTS 8

static float total(const float parts[PARTS])
{
    float sum = 0;
    for (size_t p = 0; p < PARTS; p++)
        sum += parts[p];
    return sum;
}

/* `d` as the half that a file holds. */
static float as_half(float d, uint16_t *half)
{
    *half = f32_to_f16(d);
    return f16_to_f32(*half);
}

static float inverse(float x)
{
    return x != 0 ? 1 / x : 0;
}

/* ---- q4_K and q5_K: value = scale number - minimum, neither of them negative */

#define SUB_BLOCK 32

struct line {
    float scale, minimum;
};

/* Chooses the number of each value, and gives the sum of squared errors. */
static float choose_numbers(const float *x, struct line line, float most, float *numbers)
{
    float errors[PARTS] = {0}, per_step = inverse(line.scale);
    for (size_t i = 0; i < SUB_BLOCK; i += PARTS) {
        for (size_t p = 0; p < PARTS; p++) {
            float number = nearest((x[i + p] + line.minimum) * per_step, most);
            float off = line.scale * number - line.minimum - x[i + p];
            numbers[i + p] = number;
            errors[p] += off * off;
        }
    }
    return total(errors);
}

/* The line through the points (number, value) with the least squared distance in value. */
static struct line fit_line(const float *x, const float *numbers)
{
    float sums[PARTS] = {0}, squares[PARTS] = {0}, sums_x[PARTS] = {0}, products[PARTS] = {0};
    for (size_t i = 0; i < SUB_BLOCK; i += PARTS) {
        for (size_t p = 0; p < PARTS; p++) {
            float number = numbers[i + p];
            sums[p] += number;
            squares[p] += number * number;
            sums_x[p] += x[i + p];
            products[p] += number * x[i + p];
        }
    }
    float n = SUB_BLOCK, sum = total(sums), square = total(squares), sum_x = total(sums_x),
          product = total(products), spread = n * square - sum * sum;
    struct line line = {0, 0};
    if (spread > 0) {
        line.scale = (n * product - sum * sum_x) / spread;
        line.minimum = (line.scale * sum - sum_x) / n;
    }
    if (line.minimum < 0) /* the best line through (0, 0) instead */
        line = (struct line){product * inverse(square), 0};
    return line;
}

static struct line search_line(const float *x, float most)
{
    const int n_steps = 12;
    float low = 0, high = x[0];
    for (size_t i = 0; i < SUB_BLOCK; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    struct line best = {0, -low};
    float numbers[SUB_BLOCK];
    float least = choose_numbers(x, best, most, numbers);
    for (int step = 0; step < n_steps && high > low; step++) {
        float steps = most - 1 + 0.2f * (float)step; /* from `low` to `high` */
        struct line line = {(high - low) / steps, -low};
        choose_numbers(x, line, most, numbers);
        line = fit_line(x, numbers);
        float error = choose_numbers(x, line, most, numbers);
        if (line.scale > 0 && error < least) {
            least = error;
            best = line;
        }
    }
    return best;
}

/* Of the roundings of scale and minimum, up and down, takes the pair with the least error. */
static void round_line(const float *x, struct line line, struct line unit, float most, size_t s,
                       struct kquant *block)
{
    float least = INFINITY;
    int scale = (int)nearest(floorf(line.scale * inverse(unit.scale)), 63);
    int minimum = (int)nearest(floorf(line.minimum * inverse(unit.minimum)), 63);
    for (int k = 0; k < 4; k++) {
        int a = scale + k % 2, b = minimum + k / 2;
        float numbers[SUB_BLOCK];
        struct line rounded = {unit.scale * (float)a, unit.minimum * (float)b};
        if (a > 63 || b > 63)
            continue;
        float error = choose_numbers(x, rounded, most, numbers);
        if (error < least || k == 0) {
            least = error;
            block->scales[s] = (uint8_t)a;
            block->scales[8 + s] = (uint8_t)b;
            for (size_t i = 0; i < SUB_BLOCK; i++)
                block->numbers[SUB_BLOCK * s + i] = (uint8_t)numbers[i];
        }
    }
}

static void quantize_lines(const float values[256], float most, struct kquant *block)
{
    struct line lines[8], largest = {0, 0}, unit;
    for (size_t s = 0; s < 8; s++) {
        lines[s] = search_line(values + SUB_BLOCK * s, most);
        largest.scale = fmaxf(largest.scale, lines[s].scale);
        largest.minimum = fmaxf(largest.minimum, lines[s].minimum);
    }
    unit.scale = as_half(largest.scale / 63, &block->d);
    unit.minimum = as_half(largest.minimum / 63, &block->d_min);
    for (size_t s = 0; s < 8; s++)
        round_line(values + SUB_BLOCK * s, lines[s], unit, most, s, block);
}

/* ---- q6_K: value = scale (number - 32), for 16 columns */

#define HALF_BLOCK 16

static float search_scale(const float *x)
{
    const int n_steps = 12;
    float extreme = 0, best = 0, most = 0;
    for (size_t i = 0; i < HALF_BLOCK; i++)
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    for (int step = 0; step < n_steps && extreme != 0; step++) {
        /* The extreme value becomes about -32, or is cut to that. */
        float per_step = -(31.0f + 0.2f * (float)step) / extreme;
        float squares[PARTS] = {0}, products[PARTS] = {0};
        for (size_t i = 0; i < HALF_BLOCK; i += PARTS) {
            for (size_t p = 0; p < PARTS; p++) {
                float number = nearest(x[i + p] * per_step + 32, 63) - 32;
                squares[p] += number * number;
                products[p] += number * x[i + p];
            }
        }
        float product = total(products);
        float scale = product * inverse(total(squares)); /* takes product * scale off the squares */
        if (product * scale > most) {
            most = product * scale;
            best = scale;
        }
    }
    return best;
}

static void quantize_scales(const float values[256], struct kquant *block)
{
    float scales[16], largest = 0;
    for (size_t s = 0; s < 16; s++) {
        scales[s] = search_scale(values + HALF_BLOCK * s);
        largest = fabsf(scales[s]) > fabsf(largest) ? scales[s] : largest;
    }
    float unit = as_half(largest / -128, &block->d), per_unit = inverse(unit);
    for (size_t s = 0; s < 16; s++) {
        int scale = (int)nearest(scales[s] * per_unit + 128, 255) - 128;
        float per_step = inverse(unit * (float)scale);
        block->scales[s] = (uint8_t)(int8_t)scale;
        for (size_t i = HALF_BLOCK * s; i < HALF_BLOCK * (s + 1); i++)
            block->numbers[i] = (uint8_t)nearest(values[i] * per_step + 32, 63);
    }
}

void kquant_quantize(lckv_dtype dtype, const float values[256], uint8_t *bytes)
{
    struct kquant block;
    if (dtype == LCKV_DTYPE_Q6_K)
        quantize_scales(values, &block);
    else
        quantize_lines(values, dtype == LCKV_DTYPE_Q5_K ? 31 : 15, &block);
    kquant_write(dtype, &block, bytes);
}
