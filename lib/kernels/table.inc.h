/*
 * Template: fills a kernel set with the functions that the other templates define.
 */
#define BY_DTYPE(kind)                                                                      \
    {                                                                                       \
        [LCKV_DTYPE_Q8_0] = kind##_multiply_q8_0, [LCKV_DTYPE_Q4_0] = kind##_multiply_q4_0, \
        [LCKV_DTYPE_Q4_1] = kind##_multiply_q4_1, [LCKV_DTYPE_Q4_K] = kind##_multiply_q4_k, \
        [LCKV_DTYPE_Q5_K] = kind##_multiply_q5_k, [LCKV_DTYPE_Q6_K] = kind##_multiply_q6_k, \
        OTHERS_##kind                                                                       \
    }
#define UNPACKED_FAST                                                                           \
    [LCKV_DTYPE_Q5_0] = unpacked_multiply_q5_k, [LCKV_DTYPE_Q5_1] = unpacked_multiply_q5_k,     \
    [LCKV_DTYPE_Q2_K] = unpacked_multiply_q2_k, [LCKV_DTYPE_Q3_K] = unpacked_multiply_q2_k,     \
    [LCKV_DTYPE_IQ4_NL] = unpacked_multiply_q8_0, [LCKV_DTYPE_IQ4_XS] = unpacked_multiply_q8_0, \
    [LCKV_DTYPE_MXFP4] = unpacked_multiply_q8_0
#define OTHERS_fast UNPACKED_FAST
#define OTHERS_amx UNPACKED_FAST
#define OTHERS_full                                                                         \
    [LCKV_DTYPE_F32] = full_multiply_f32, [LCKV_DTYPE_F16] = full_multiply_f16,             \
    [LCKV_DTYPE_BF16] = full_multiply_bf16, [LCKV_DTYPE_Q5_0] = unpacked_full_multiply_any, \
    [LCKV_DTYPE_Q5_1] = unpacked_full_multiply_any,                                         \
    [LCKV_DTYPE_Q2_K] = unpacked_full_multiply_any,                                         \
    [LCKV_DTYPE_Q3_K] = unpacked_full_multiply_any,                                         \
    [LCKV_DTYPE_IQ4_NL] = unpacked_full_multiply_any,                                       \
    [LCKV_DTYPE_IQ4_XS] = unpacked_full_multiply_any,                                       \
    [LCKV_DTYPE_MXFP4] = unpacked_full_multiply_any

#define KERNELS_TABLE(set_name, int8, attention)                                             \
    .name = set_name, .layout = {LANES, UNSIGNED_BYTES}, .multiply_full = BY_DTYPE(full),    \
    .multiply_int8 = BY_DTYPE(int8), .quantize = quantize, .rms_norm = rms_norm, .add = add, \
    .gate = {swiglu, geglu_tanh, gelu_gate}, .rotate = rotate, .kv_store = kv_store,         \
    .attend_full = attend_full, .attend_fast = attention, .attend_merge = attend_merge,      \
    .largest = largest, .weigh = weigh
