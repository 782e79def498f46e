/*
 * The members of a line of the input of lckv batch, but for its id.
 */
#ifndef TOOLS_BATCH_MEMBERS_H
#define TOOLS_BATCH_MEMBERS_H

#include "batch_request.h"
#include "json_read.h"

/*
 * Reads the members of a text that is known to be a JSON object, and uses it up. If one is not what
 * it should be, the request has a problem. Returns false if memory ran out.
 */
bool batch_members_read(char *text, size_t length, struct batch_request *request);

#endif
