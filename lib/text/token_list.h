/*
 * Tokens that are collected for a caller.
 */
#ifndef LCKV_TEXT_TOKEN_LIST_H
#define LCKV_TEXT_TOKEN_LIST_H

#include "base/checked.h"
#include "base/memory.h"

struct token_list {
    const lckv_allocator *allocator;
    lckv_token *tokens;
    size_t count, capacity;
};

CHECKED lckv_status token_list_add(struct token_list *list, lckv_token token);
void token_list_release(struct token_list *list);

#endif
