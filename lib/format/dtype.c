/*
 * Element types: a table of those that lckv computes with, and the names of the others, so that a
 * refusal can say what the file holds.
 */
#include "format/dtype.h"

#include "base/memory.h"

static const struct dtype_info dtypes[] = {
    {LCKV_DTYPE_F32, "f32", 0, 1, 4},
    {LCKV_DTYPE_F16, "f16", 1, 1, 2},
    {LCKV_DTYPE_BF16, "bf16", 30, 1, 2},
    {LCKV_DTYPE_Q8_0, "q8_0", 8, 32, 34},
    {LCKV_DTYPE_Q4_0, "q4_0", 2, 32, 18},
    {LCKV_DTYPE_Q4_1, "q4_1", 3, 32, 20},
    {LCKV_DTYPE_Q6_K, "q6_K", 14, 256, 210},
    {LCKV_DTYPE_Q4_K, "q4_K", 12, 256, 144},
    {LCKV_DTYPE_Q5_K, "q5_K", 13, 256, 176},
    {LCKV_DTYPE_Q2_K, "q2_K", 10, 256, 84},
    {LCKV_DTYPE_Q3_K, "q3_K", 11, 256, 110},
    {LCKV_DTYPE_Q5_0, "q5_0", 6, 32, 22},
    {LCKV_DTYPE_Q5_1, "q5_1", 7, 32, 24},
    {LCKV_DTYPE_IQ4_NL, "iq4_nl", 20, 32, 18},
    {LCKV_DTYPE_IQ4_XS, "iq4_xs", 23, 256, 136},
    {LCKV_DTYPE_MXFP4, "mxfp4", 39, 32, 17},
    {LCKV_DTYPE_F8_E4M3, "f8_e4m3", DTYPE_NOT_IN_GGUF, 1, 1},
};

#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

/* By GGUF type number. Types 4, 5, 31 to 33 and 36 to 38 were withdrawn, but occur in files. */
static const char *const gguf_names[] = {
    "f32",   "f16",        "q4_0",       "q4_1",       "q4_2",     "q4_3",     "q5_0",
    "q5_1",  "q8_0",       "q8_1",       "q2_K",       "q3_K",     "q4_K",     "q5_K",
    "q6_K",  "q8_K",       "iq2_xxs",    "iq2_xs",     "iq3_xxs",  "iq1_s",    "iq4_nl",
    "iq3_s", "iq2_s",      "iq4_xs",     "i8",         "i16",      "i32",      "i64",
    "f64",   "iq1_m",      "bf16",       "q4_0_4_4",   "q4_0_4_8", "q4_0_8_8", "tq1_0",
    "tq2_0", "iq4_nl_4_4", "iq4_nl_4_8", "iq4_nl_8_8", "mxfp4",    "nvfp4",    "q1_0",
    "q2_0",
};

const struct dtype_info *dtype_info(lckv_dtype dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (dtypes[i].dtype == dtype)
            return &dtypes[i];
    }
    return NULL;
}

const struct dtype_info *dtype_from_gguf(uint32_t gguf_type)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (dtypes[i].gguf_type == gguf_type && gguf_type != DTYPE_NOT_IN_GGUF)
            return &dtypes[i];
    }
    return NULL;
}

/* Not strcasecmp: in some locales it folds more than ASCII. */
static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_ascii(const char *a, const char *b)
{
    while (*a != '\0' && ascii_lower(*a) == ascii_lower(*b)) {
        a++;
        b++;
    }
    return ascii_lower(*a) == ascii_lower(*b);
}

const struct dtype_info *dtype_from_name(const char *name)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (same_ascii(dtypes[i].name, name))
            return &dtypes[i];
    }
    return NULL;
}

const char *dtype_gguf_name(uint32_t gguf_type)
{
    return gguf_type < sizeof gguf_names / sizeof gguf_names[0] ? gguf_names[gguf_type] : NULL;
}

bool dtype_bytes(lckv_dtype dtype, uint64_t n, uint64_t *bytes)
{
    const struct dtype_info *info = dtype_info(dtype);
    if (info == NULL || n % info->block_elements != 0)
        return false;
    return checked_multiply64(n / info->block_elements, info->block_bytes, bytes);
}
