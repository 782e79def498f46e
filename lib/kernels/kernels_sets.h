/*
 * The kernel sets of this build. This header is for kernels/ only; other folders call
 * kernels_choose().
 */
#ifndef LCKV_KERNELS_KERNELS_SETS_H
#define LCKV_KERNELS_KERNELS_SETS_H

#include "kernels/kernels.h"

extern const struct kernels kernels_portable;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx512bf16;
extern const struct kernels kernels_amx;
extern const struct kernels kernels_amxbf16;
#endif

#endif
