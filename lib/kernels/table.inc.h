/*
 * Template: the table of a set whose functions the other templates defined.
 */
#define KERNELS_TABLE(set_name)                                                                 \
    {                                                                                           \
        .name = set_name, .group_rows = LANES,                                                  \
        .multiply_full =                                                                        \
            {                                                                                   \
                [LCKV_DTYPE_F32] = full_multiply_f32,   [LCKV_DTYPE_F16] = full_multiply_f16,   \
                [LCKV_DTYPE_BF16] = full_multiply_bf16, [LCKV_DTYPE_Q8_0] = full_multiply_q8_0, \
                [LCKV_DTYPE_Q4_0] = full_multiply_q4_0, [LCKV_DTYPE_Q4_1] = full_multiply_q4_1, \
                [LCKV_DTYPE_Q6_K] = full_multiply_q6_k,                                         \
            },                                                                                  \
        .multiply_fast =                                                                        \
            {                                                                                   \
                [LCKV_DTYPE_Q8_0] = fast_multiply_q8_0,                                         \
                [LCKV_DTYPE_Q4_0] = fast_multiply_q4_0,                                         \
                [LCKV_DTYPE_Q4_1] = fast_multiply_q4_1,                                         \
                [LCKV_DTYPE_Q6_K] = fast_multiply_q6_k,                                         \
            },                                                                                  \
        .quantize = quantize, .rms_norm = rms_norm, .add = add, .swiglu = swiglu,               \
        .rotate = rotate, .attend = {                                                           \
            [KV_F32] = attend_f32,                                                              \
            [KV_F16] = attend_f16                                                               \
        }                                                                                       \
    }
