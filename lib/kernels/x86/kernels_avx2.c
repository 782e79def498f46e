/*
 * The AVX2 kernel set (AVX2, FMA, F16C): the templates over 8-lane vectors. Only this file is
 * compiled with these instructions.
 */
#include "kernels/kernels_sets.h"
#include "kernels/x86/simd_avx2.h"

#include "kernels/tile.inc.h"

#include "kernels/elementwise.inc.h"
#include "kernels/strip.inc.h"
#include "kernels/unpack.inc.h"

#include "kernels/multiply_fast.inc.h"
#include "kernels/multiply_full.inc.h"
#include "kernels/multiply_unpacked.inc.h"

#include "kernels/attend.inc.h"
#include "kernels/kv_store.inc.h"
#include "kernels/logits.inc.h"
#include "kernels/table.inc.h"

const struct kernels kernels_avx2 = {KERNELS_TABLE("avx2", fast, attend_fast)};
