/*
 * The portable kernel set: the templates over vectors in plain C. It is the reference for every
 * other set.
 */
#include "kernels/kernels_sets.h"
#include "kernels/simd_portable.h"

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

const struct kernels kernels_portable = {KERNELS_TABLE("portable", fast, attend_fast)};
