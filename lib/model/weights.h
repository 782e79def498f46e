/*
 * The roles that weights play. roles.h tells what is known of each.
 */
#ifndef LCKV_MODEL_WEIGHTS_H
#define LCKV_MODEL_WEIGHTS_H

#include <stdint.h>

enum weight {
    WEIGHT_TOKEN_EMBEDDING,
    WEIGHT_OUTPUT_NORM,
    WEIGHT_OUTPUT,
    WEIGHT_ROPE_FACTORS,
    WEIGHT_ROPE_SHORT,
    WEIGHT_ROPE_LONG,
    WEIGHT_INPUT_TABLE,
    WEIGHT_INPUT_MIX,
    WEIGHT_INPUT_MIX_NORM,
    WEIGHT_STREAM_IN_1, /* the side streams of AltUp: they begin and end with a matrix of each */
    WEIGHT_STREAM_IN_2,
    WEIGHT_STREAM_IN_3,
    WEIGHT_STREAM_OUT_1,
    WEIGHT_STREAM_OUT_2,
    WEIGHT_STREAM_OUT_3,
    /* the weights of a layer */
    WEIGHT_ATTENTION_NORM,
    WEIGHT_Q,
    WEIGHT_K,
    WEIGHT_V,
    WEIGHT_O,
    WEIGHT_Q_BIAS,
    WEIGHT_K_BIAS,
    WEIGHT_V_BIAS,
    WEIGHT_O_BIAS,
    WEIGHT_Q_NORM,
    WEIGHT_K_NORM,
    WEIGHT_O_NORM,
    WEIGHT_FFN_NORM,
    WEIGHT_GATE,
    WEIGHT_UP,
    WEIGHT_DOWN,
    WEIGHT_GATE_BIAS,
    WEIGHT_UP_BIAS,
    WEIGHT_DOWN_BIAS,
    WEIGHT_DOWN_NORM,
    WEIGHT_INPUT_GATE,
    WEIGHT_INPUT_OUT,
    WEIGHT_INPUT_OUT_NORM,
    WEIGHT_LAYER_SCALE,
    WEIGHT_ROUTER,
    WEIGHT_ROUTER_NORM,
    WEIGHT_PREDICT,
    WEIGHT_CORRECT,
    WEIGHT_CORRECT_SCALE,
    WEIGHT_LAUREL_LEFT,
    WEIGHT_LAUREL_RIGHT,
    WEIGHT_LAUREL_NORM,
    WEIGHT_COUNT
};

/* A set of weights, for those below 64. */
#define WEIGHT_BIT(weight) (UINT64_C(1) << (weight))

#endif
