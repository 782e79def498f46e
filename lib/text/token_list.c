/*
 * Collects tokens. See token_list.h.
 */
#include "text/token_list.h"

lckv_status token_list_add(struct token_list *list, lckv_token token)
{
    if (list->count == list->capacity) {
        lckv_status status = memory_grow(list->allocator, &list->tokens, &list->capacity,
                                         list->count + 1, sizeof token, "tokens");
        if (status != LCKV_OK)
            return status;
    }
    list->tokens[list->count++] = token;
    return LCKV_OK;
}

void token_list_release(struct token_list *list)
{
    memory_free(list->allocator, list->tokens, list->capacity, sizeof list->tokens[0]);
}
