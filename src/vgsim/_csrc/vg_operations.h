/* The table of operations. A new operation is a file with its three functions, a line here, a name
   in vg_api.h, and its description and its twin in Python. */
#ifndef VG_OPERATIONS_H
#define VG_OPERATIONS_H

#include "vg_attention.h"
#include "vg_gates.h"
#include "vg_mix.h"
#include "vg_multiply.h"
#include "vg_norm.h"
#include "vg_record_weights.h"
#include "vg_units.h"

static const operation operations[VG_OPERATIONS] = {
    [VG_BASIS] = {store_basis, basis_ahead, nothing_back},
    [VG_WEIGHTS] = {store_weights, weights_ahead, weights_back},
    [VG_BIAS] = {store_nothing, bias_ahead, nothing_back},
    [VG_SHIFT] = {store_nothing, shift_ahead, nothing_back},
    [VG_GATE_BIAS] = {store_nothing, gate_bias_ahead, nothing_back},
    [VG_DRIVE] = {store_nothing, drive_ahead, nothing_back},
    [VG_NORM] = {store_norm, norm_ahead, norm_back},
    [VG_ACTIVATE] = {store_units, units_ahead, units_back},
    [VG_MASK] = {store_mask, mask_ahead, mask_back},
    [VG_COPY] = {store_copy, copy_ahead, copy_back},
    [VG_SUM] = {store_nothing, sum_ahead, sum_back},
    [VG_MULTIPLY] = {store_product, product_ahead, product_back},
    [VG_MIX] = {store_mix, mix_ahead, mix_back},
    [VG_ATTEND] = {store_attention, attention_ahead, attention_back},
};

#define FITS(type) _Static_assert(sizeof(type) <= SLOT_BYTES, #type " does not fit into a slot")
FITS(operand);
FITS(weights);
FITS(norm);
FITS(units);
FITS(copied);
FITS(lone_entries);
FITS(mixed);
FITS(multiplied);
FITS(attention);

#endif
