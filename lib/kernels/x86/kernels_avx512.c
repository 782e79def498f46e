/*
 * The AVX-512 kernel sets: the templates over 16-lane vectors. "avx512" needs F, BW, DQ, VL and
 * VNNI. "avx512bf16" also multiplies bfloat16 directly, "amx" also multiplies bytes in tiles, and
 * "amxbf16" bfloat16 in tiles, too. Only this file is compiled with these instructions.
 */
#include "kernels/kernels_sets.h"
#include "kernels/x86/simd_avx512.h"

#include "kernels/tile.inc.h"

#include "kernels/elementwise.inc.h"
#include "kernels/strip.inc.h"
#include "kernels/unpack.inc.h"

#include "kernels/multiply_fast.inc.h"
#include "kernels/multiply_full.inc.h"
#include "kernels/multiply_unpacked.inc.h"
#include "kernels/x86/multiply_amx.inc.h"
#include "kernels/x86/multiply_bf16.inc.h"

#include "kernels/x86/multiply_amx_bf16.inc.h" /* uses what both define */

#include "kernels/attend.inc.h"
#include "kernels/kv_store.inc.h"
#include "kernels/logits.inc.h"
#include "kernels/table.inc.h"

const struct kernels kernels_avx512 = {KERNELS_TABLE("avx512", fast, attend_fast)};

const struct kernels kernels_avx512bf16 = {KERNELS_TABLE("avx512bf16", fast, attend_fast_bf16),
                                           .multiply_bf16 = fast_multiply_bf16,
                                           .round_bf16 = round_bf16};

#define AMX_TYPES                                                                 \
    [LCKV_DTYPE_Q8_0] = true, [LCKV_DTYPE_Q4_0] = true, [LCKV_DTYPE_Q4_1] = true, \
    [LCKV_DTYPE_Q4_K] = true, [LCKV_DTYPE_Q5_K] = true, [LCKV_DTYPE_Q6_K] = true

const struct kernels kernels_amx = {KERNELS_TABLE("amx", amx, attend_fast),
                                    .in_tiles = {AMX_TYPES}};

const struct kernels kernels_amxbf16 = {
    KERNELS_TABLE("amxbf16", amx, attend_fast), .in_tiles = {AMX_TYPES, [LCKV_DTYPE_BF16] = true},
    .multiply_bf16 = amx_multiply_bf16, .round_bf16 = round_bf16};
