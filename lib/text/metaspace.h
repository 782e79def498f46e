/*
 * The spelling of SentencePiece: a space is written U+2581, so that " a" is "▁a", and a byte that
 * stands for itself is "<0x0A>". Spaced vocabularies, its own and those made from them, spell
 * tokens like this; byte_level.h has the other spelling.
 */
#ifndef LCKV_TEXT_METASPACE_H
#define LCKV_TEXT_METASPACE_H

#include "base/checked.h"
#include "base/text.h"

#include <stdint.h>

#define METASPACE "\xE2\x96\x81"
#define METASPACE_LENGTH 3
#define METASPACE_BYTE_LENGTH 6 /* of "<0x0A>" */

/* Whether these bytes begin with U+2581. */
CHECKED bool metaspace_begins(const char *bytes, size_t length);

/* Writes the spelling with spaces, never more bytes than it has; returns how many. */
size_t metaspace_text(struct text spelling, char *bytes);

/* The byte that a spelling like "<0x0A>" stands for; -1 for all others. */
int metaspace_byte(struct text spelling);
void metaspace_spell_byte(uint8_t byte, char spelling[METASPACE_BYTE_LENGTH]);

#endif
