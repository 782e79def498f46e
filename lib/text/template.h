/*
 * Chat templates: Jinja programs that write a conversation as text.
 *
 * This runs what most of them consist of: text, output of texts, if, for, set and macros. If a
 * template does anything else, it is refused by name when a conversation gets there. So the text is
 * the one that Jinja would write with the settings of Hugging Face's transformers (trim_blocks and
 * lstrip_blocks; tools and documents are none).
 */
#ifndef LCKV_TEXT_TEMPLATE_H
#define LCKV_TEXT_TEMPLATE_H

#include "base/checked.h"
#include "format/metadata.h"
#include "text/template_date.h"

#define TEMPLATE_MAX_LENGTH ((size_t)1 << 20)

/* What a template sees. */
struct template_input {
    const lckv_message *messages;
    size_t stride, n_messages;
    bool answer;               /* add_generation_prompt */
    struct text bos, eos, pad; /* the texts of special tokens; bytes NULL: undefined */
    struct template_date date; /* today */
};

static inline const lckv_message *template_message(const struct template_input *input, size_t index)
{
    return (const void *)((const unsigned char *)input->messages + index * input->stride);
}

/* Takes the next part of the text; `is_message` if it comes from a message's role or content. */
typedef lckv_status (*template_sink)(void *context, struct text text, bool is_message);

/*
 * LCKV_UNSUPPORTED, with the reason and the place in the template, for what is not understood;
 * LCKV_INVALID_ARGUMENT for messages that the template itself refuses. By then the sink may have
 * taken part of the text.
 */
CHECKED lckv_status template_run(struct text source, const struct template_input *input,
                                 const lckv_allocator *allocator, template_sink sink,
                                 void *context);

#endif
