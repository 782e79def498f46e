/*
 * Builds the automaton for special tokens. See special_tokens.h.
 */
#include "text/special_tokens.h"

#include "base/status.h"

struct building {
    struct special_tokens *specials;
    struct normalizing *normalizing;
    struct prefix_entry *entries; /* the reversed texts */
    size_t count;
};

static bool is_special(const struct special_tokens *specials, const struct vocabulary_token *token)
{
    return token->spelling.length > 0 && (token->flags & TOKEN_WEIGHED) == 0 &&
           ((token->flags & TOKEN_NORMALIZED) != 0) == specials->normalized &&
           vocabulary_is_special(token->type);
}

static lckv_status reverse(struct arena *scratch, struct text text, struct text *reversed)
{
    char *bytes;
    lckv_status status = arena_alloc(scratch, text.length, 1, "special tokens", &bytes);
    for (size_t i = 0; status == LCKV_OK && i < text.length; i++)
        bytes[i] = text.bytes[text.length - 1 - i];
    *reversed = (struct text){bytes, text.length};
    return status;
}

/* Normalises the text of a token, if there is a normaliser. */
static lckv_status normalise(struct building *building, struct text *text, size_t *total)
{
    if (building->normalizing == NULL)
        return LCKV_OK;
    lckv_status status = normalizing_run(building->normalizing, *text, NULL, 0, text);
    *total += text->length;
    if (status == LCKV_OK && *total > SPECIAL_TOKENS_MAX_STATES)
        return fail(LCKV_UNSUPPORTED, "normalized tokens of more than %u bytes in all",
                    SPECIAL_TOKENS_MAX_STATES);
    return status;
}

/* Of normalized tokens whose texts have become the same, the first counts. */
static lckv_status list_entries(struct building *building, struct arena *scratch)
{
    struct special_tokens *specials = building->specials;
    const struct vocabulary *vocabulary = specials->vocabulary;
    size_t n_specials = 0, length = 0, total = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        if (is_special(specials, &vocabulary->tokens[id])) {
            n_specials++;
            length += vocabulary->tokens[id].spelling.length;
        }
    }
    if (building->normalizing != NULL)
        matcher_allow(building->normalizing->matcher, length);
    lckv_status status = arena_alloc(scratch, n_specials, sizeof building->entries[0],
                                     "special tokens", &building->entries);
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (!is_special(specials, token))
            continue;
        struct text text = token->spelling;
        status = normalise(building, &text, &total);
        if (status != LCKV_OK || text.length == 0)
            continue;
        if (text.length > specials->longest)
            specials->longest = text.length;
        struct prefix_entry *entry = &building->entries[building->count++];
        entry->token = (lckv_token)id;
        status = reverse(scratch, text, &entry->text);
    }
    return status;
}

/* Gives an entry to its node, unless one before it has the same text. */
static void place_token(struct special_tokens *specials, const struct prefix_entry *entry)
{
    uint32_t node = specials->tree.roots[(uint8_t)entry->text.bytes[0]];
    for (size_t i = 1; i < entry->text.length; i++)
        node = prefix_tree_next(&specials->tree, node, (uint8_t)entry->text.bytes[i]);
    struct special_state *state = &specials->states[node];
    const bool control = specials->vocabulary->tokens[entry->token].type != LCKV_TOKEN_USER_DEFINED;
    for (int i = control; i < 2; i++) {
        if (state->token[i] < 0) {
            state->token[i] = entry->token;
            state->length[i] = (uint32_t)entry->text.length;
        }
    }
}

/*
 * Gives a state what it shares with its fallback, and its children their fallbacks. All states
 * before it are finished.
 */
static void finish_state(struct special_tokens *specials, uint32_t at)
{
    const struct prefix_node *nodes = specials->tree.nodes;
    struct special_state *state = &specials->states[at];
    const struct special_state *fallback = &specials->states[state->fallback];
    for (int i = 0; i < 2; i++) {
        if (state->token[i] < 0) {
            state->token[i] = fallback->token[i];
            state->length[i] = fallback->length[i];
        }
    }
    for (uint32_t child = nodes[at].first_child; child < nodes[at + 1].first_child; child++)
        specials->states[child].fallback =
            at == 0 ? 0 : special_tokens_next(specials, state->fallback, nodes[child].byte);
}

static lckv_status build(struct building *building, struct arena *scratch)
{
    struct special_tokens *specials = building->specials;
    struct arena *arena = specials->vocabulary->arena;
    lckv_status status = list_entries(building, scratch);
    if (status == LCKV_OK)
        status = prefix_tree_init(&specials->tree, building->entries, building->count,
                                  SPECIAL_TOKENS_MAX_STATES, "special tokens", arena);
    if (status == LCKV_OK)
        status = arena_alloc(arena, specials->tree.n_nodes, sizeof specials->states[0],
                             "special tokens", &specials->states);
    if (status != LCKV_OK)
        return status;
    for (uint32_t at = 0; at < specials->tree.n_nodes; at++)
        specials->states[at] = (struct special_state){.token = {-1, -1}};
    for (size_t i = 0; i < building->count; i++)
        place_token(specials, &building->entries[i]);
    for (uint32_t at = 0; at < specials->tree.n_nodes; at++)
        finish_state(specials, at);
    return LCKV_OK;
}

lckv_status special_tokens_init(struct special_tokens *specials,
                                const struct vocabulary *vocabulary,
                                struct normalizing *normalizing)
{
    struct arena scratch;
    *specials =
        (struct special_tokens){.vocabulary = vocabulary, .normalized = normalizing != NULL};
    arena_init(&scratch, &vocabulary->arena->allocator);
    struct building building = {.specials = specials, .normalizing = normalizing};
    lckv_status status = build(&building, &scratch);
    arena_release(&scratch);
    return status;
}
