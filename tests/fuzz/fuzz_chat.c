/*
 * Conversations written by a template. The part "template" is the chat template, the other parts
 * are messages whose roles are their names.
 */
#include "tiny.h"
#include "touch.h"

enum { MAX_MESSAGES = 16 };

/* `template` as a JSON string in tokenizer_config.json. */
static void write_template(const struct part *template)
{
    char *config = malloc(template->length * 6 + 128);
    require(config != NULL, "no memory");
    size_t used = (size_t)sprintf(config, "{\"bos_token\":\"<s>\",\"chat_template\":\"");
    for (size_t i = 0; i < template->length; i++) {
        unsigned char byte = (unsigned char)template->body[i];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            used += (size_t)sprintf(config + used, "\\u%04x", byte);
        else
            config[used++] = (char)byte;
    }
    used += (size_t)sprintf(config + used, "\"}");
    folder_write("tokenizer_config.json", config, used, 0);
    free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tiny tiny = {.n_layers = 1, .is_tied = true};
    struct input input = {data, size};
    struct part parts[MAX_MESSAGES];
    lckv_message messages[MAX_MESSAGES];
    size_t n = 0;
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL;
    folder_begin();
    require(tiny_write(&tiny, folder), "cannot write to %s", folder);
    while (n < MAX_MESSAGES && next_part(&input, &parts[n])) {
        const struct part *part = &parts[n];
        if (strcmp(part->name, "template") == 0) {
            write_template(part);
        } else {
            messages[n] = (lckv_message){part->name, strlen(part->name), part->body, part->length};
            n++;
        }
    }
    if (succeeded(lckv_model_open(folder, &options, &model)))
        touch_chat(model, messages, n);
    lckv_model_release(model);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
