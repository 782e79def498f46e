/*
 * Finds the tensor that plays a role. See roles.h.
 */
#include "base/status.h"
#include "model/architecture.h"
#include "model/roles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static lckv_status check_shape(const struct checkpoint *checkpoint, const char *name,
                               const struct tensor *tensor, uint64_t rows, uint64_t columns)
{
    const uint32_t n_dims = columns > 0 ? 2 : 1;
    if (tensor->n_dims == n_dims && tensor->shape[0] == rows &&
        (n_dims == 1 || tensor->shape[1] == columns))
        return LCKV_OK;
    char expected[64], shape[96] = "";
    snprintf(expected, sizeof expected,
             n_dims == 1 ? "[%" PRIu64 "]" : "[%" PRIu64 ", %" PRIu64 "]", rows, columns);
    for (uint32_t i = 0; i < tensor->n_dims && i < TENSOR_MAX_DIMS; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%" PRIu64, i > 0 ? ", " : "",
                 tensor->shape[i]);
    }
    return fail(LCKV_BAD_FORMAT, "%s: tensor %s has shape [%s]; expected %s", checkpoint->name,
                name, shape, expected);
}

lckv_status weight_find(const struct checkpoint *checkpoint, const struct hparams *h,
                        enum weight weight, uint32_t layer, bool required,
                        const struct tensor **tensor)
{
    char name[WEIGHT_NAME_BYTES];
    uint64_t rows, columns;
    weight_shape(h, weight, layer, &rows, &columns);
    weight_name(h->architecture, checkpoint->kind, weight, layer, name);
    const struct tensor *found = name[0] != '\0' ? checkpoint_find(checkpoint, name) : NULL;
    if (found == NULL && required)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s is missing", checkpoint->name, name);
    lckv_status status = found != NULL ? checkpoint_check(checkpoint, found) : LCKV_OK;
    if (status == LCKV_OK && found != NULL)
        status = check_shape(checkpoint, name, found, rows, columns);
    if (status == LCKV_OK)
        *tensor = found;
    return status;
}
