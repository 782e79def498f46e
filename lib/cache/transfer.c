/*
 * See transfer.h.
 */
#include "cache/transfer.h"

#include "base/status.h"

#define BYTES_BETWEEN_CALLS 65536

lckv_status transfer_step(struct transfer *transfer, uint64_t n_bytes)
{
    transfer->done += n_bytes;
    const bool tells =
        transfer->done - transfer->told >= BYTES_BETWEEN_CALLS || transfer->done == transfer->total;
    if (tells && transfer->progress != NULL) {
        transfer->told = transfer->done;
        if (transfer->progress(transfer->progress_user, transfer->done, transfer->total) != 0)
            return fail(LCKV_CANCELLED, "the progress callback cancelled the call");
    }
    return cache_check_cancel(transfer->cache);
}
