/*
 * Template: the work on single rows, for a set's vectors: norms, rotary embedding, gates, the
 * quantisation of activations, and the exponential that they and attention share.
 */
#include "kernels/activations.h"

#include <math.h>

/*
 * e^x for x <= 88: exactly 1 at 0, 0 below -87 and at -INFINITY, NaN for NaN. x = n ln 2 + r with
 * |r| <= ln 2 / 2, and e^r is the polynomial of 6th degree that has the least relative error there,
 * 4e-9, of those that begin with 1 + r. With all roundings the relative error is below 1e-7 (1 +
 * |x|), and below 4e-7 anywhere if v_fma rounds once.
 */
static inline __attribute__((always_inline)) vf v_exp(vf x)
{
    const float log2_e = 1.44269504f, ln2 = 0.693147181f;
    vf clamped = v_max(v_set(-87.0f), x); /* NaN stays: it is the second operand */
    vf n = v_round(v_mul(clamped, v_set(log2_e)));
    vf r = v_fma(n, v_set(-ln2), clamped);
    vf p = v_set(0.00138145988f);
    p = v_fma(p, r, v_set(0.00836871658f));
    p = v_fma(p, r, v_set(0.041668389f));
    p = v_fma(p, r, v_set(0.166665211f));
    p = v_fma(p, r, v_set(0.49999994f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    return v_zero_below(x, -87.0f, v_scale(p, n));
}

static float exp_one(float x)
{
    float lanes[LANES];
    v_store(lanes, v_exp(v_set(x)));
    return lanes[0];
}

static void rms_norm(const float *x, const float *weight, float epsilon, size_t n, float *out)
{
    vf squares = v_set(0);
    float rest = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        squares = v_fma(v_load(x + i), v_load(x + i), squares);
    for (; i < n; i++)
        rest += x[i] * x[i];
    float scale = 1.0f / sqrtf((v_sum(squares) + rest) / (float)n + epsilon);
    for (i = 0; i + LANES <= n; i += LANES)
        v_store(out + i, v_mul(v_mul(v_load(x + i), v_set(scale)), v_load(weight + i)));
    for (; i < n; i++)
        out[i] = x[i] * scale * weight[i];
}

static void add(float *x, const float *y, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(x + i, v_add(v_load(x + i), v_load(y + i)));
    for (; i < n; i++)
        x[i] += y[i];
}

static inline __attribute__((always_inline)) vf swiglu_lanes(vf gate, vf up)
{
    /* Below -88 the quotient is less than 1e-36. NaN stays: it is the second operand. */
    vf held = v_max(v_set(-88.0f), gate);
    vf e = v_exp(v_sub(v_set(0), held));
    return v_mul(v_div(held, v_add(v_set(1), e)), up);
}

/*
 * With t = 2 sqrt(2 / pi) (g + 0.044715 g^3), gelu by tanh is g / (1 + e^-t). Below -10 it is less
 * than 1e-36, and t is above -88.
 */
static inline __attribute__((always_inline)) vf geglu_tanh_lanes(vf gate, vf up)
{
    vf held = v_max(v_set(-10.0f), gate);
    vf cubic = v_fma(v_mul(held, held), v_set(0.0713548163f), v_set(1.59576912f));
    vf e = v_exp(v_sub(v_set(0), v_mul(held, cubic)));
    return v_mul(v_div(held, v_add(v_set(1), e)), up);
}

/* Defines a function of all numbers by one of vectors. */
#define GATE(name)                                                             \
    static void name(float *gate, const float *up, size_t n)                   \
    {                                                                          \
        size_t i = 0;                                                          \
        for (; i + LANES <= n; i += LANES)                                     \
            v_store(gate + i, name##_lanes(v_load(gate + i), v_load(up + i))); \
        if (i < n) {                                                           \
            float g[LANES] = {0}, u[LANES] = {0};                              \
            memcpy(g, gate + i, (n - i) * sizeof *g);                          \
            memcpy(u, up + i, (n - i) * sizeof *u);                            \
            v_store(g, name##_lanes(v_load(g), v_load(u)));                    \
            memcpy(gate + i, g, (n - i) * sizeof *g);                          \
        }                                                                      \
    }
GATE(swiglu)
GATE(geglu_tanh)
#undef GATE

static void rotate(float *x, const float *cosines, const float *sines, float scale, size_t head_dim)
{
    size_t half = head_dim / 2, d = 0;
    for (; d + LANES <= half; d += LANES) {
        vf a = v_load(x + d), b = v_load(x + half + d);
        vf c = v_load(cosines + d), s = v_load(sines + d);
        v_store(x + d, v_mul(v_sub(v_mul(a, c), v_mul(b, s)), v_set(scale)));
        v_store(x + half + d, v_mul(v_add(v_mul(b, c), v_mul(a, s)), v_set(scale)));
    }
    for (; d < half; d++) {
        float a = x[d], b = x[half + d];
        x[d] = (a * cosines[d] - b * sines[d]) * scale;
        x[half + d] = (b * cosines[d] + a * sines[d]) * scale;
    }
}

/*
 * A block that holds NaN or infinity gets NaN as its scale, so that whatever is computed from it
 * shows that. Its quants are then 0.
 */
static void quantize(const float *values, size_t n, struct panel_row to)
{
    for (size_t b = 0; b < n / ACTIVATION_BLOCK; b++, values += ACTIVATION_BLOCK) {
        uint8_t *block = to.panel + b * to.height * INT8_BLOCK_BYTES;
        int8_t *quants = (int8_t *)block + to.row * ACTIVATION_BLOCK;
        vf most = v_abs(v_load(values)), odd = v_mul(most, v_set(0)); /* 0, or NaN */
        for (size_t i = LANES; i < ACTIVATION_BLOCK; i += LANES) {
            most = v_max(v_abs(v_load(values + i)), most);
            odd = v_fma(v_load(values + i), v_set(0), odd);
        }
        const bool is_odd = isnan(v_sum(odd));
        float largest = v_largest(most), inverse = largest > 0 ? 127.0f / largest : 0;
        inverse = inverse <= 1e37f ? inverse : 0; /* a block of denormals is zero */
        uint32_t sum = 0, half = 0;
        for (size_t i = 0; i < ACTIVATION_BLOCK; i += LANES) {
            vi rounded = is_odd ? vi_set(0) : vi_round(v_mul(v_load(values + i), v_set(inverse)));
            vi_store_bytes(quants + i, rounded);
            sum += (uint32_t)vi_total(rounded);
            half = i + LANES == ACTIVATION_BLOCK / 2 ? sum : half;
        }
        float scale = is_odd ? NAN : inverse > 0 ? largest / 127.0f : 0;
        void *tail = block + to.height * ACTIVATION_BLOCK;
        float *floats = (float *)tail + to.row;
        int32_t *integers = (int32_t *)tail + to.row;
        floats[0] = scale;
        integers[to.height] = (int32_t)(0u - 128 * sum);
        integers[2 * to.height] = (int32_t)(0u - 128 * half);
        floats[3 * to.height] = scale * (float)(int32_t)sum;
    }
}
