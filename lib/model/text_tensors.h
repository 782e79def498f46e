/*
 * The tensors of the text model in a directory whose model has other parts, too.
 */
#ifndef LCKV_MODEL_TEXT_TENSORS_H
#define LCKV_MODEL_TEXT_TENSORS_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/hparams.h"

/*
 * If the model has other parts: gives the text model's tensors the names that they have where it
 * stands alone, and takes those of the other parts out of the list, with a remark for each part.
 */
CHECKED lckv_status text_tensors_select(struct checkpoint *checkpoint,
                                        const struct hparams *hparams,
                                        const struct remarks *remarks);

#endif
