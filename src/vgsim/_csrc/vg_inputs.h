/* The inputs X_0 of the general pass. */
#ifndef VG_INPUTS_H
#define VG_INPUTS_H

#include "vg_pass.h"

/* X_0: N(0, 1) entries, zeros, or rows of the data, one for each sequence, drawn without replacement. */
static void draw_inputs(pass *p, columns *all)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = all->rows = plan->widths[0], tokens = plan->tokens, sequences = plan->batch / tokens;
    columns examples_alone = examples(plan, all), *x = &examples_alone;
    stream s = open_stream(&p->b.keys, VG_STREAM_INPUT, 0);
    if (plan->zeros) {
        clear_columns(x);
        return;
    }
    if (!plan->inputs) {
        for (int64_t b = 0; b < x->count; b++) x->exponent[b] = splat_int(0);
        draw_columns(&p->b, VG_STREAM_INPUT, 0, n, x->count, x->v, x->stride);
        normalise_columns(x);
        return;
    }
    int64_t *drawn = (int64_t *)p->small, sorted = 0; /* ascending */
    for (int k = 0; k < LANES; k++, sorted = 0)
        for (int64_t b = 0; b < sequences; b++) {
            W word[PARTS][4];
            philox(&s, (uint32_t)(b / 4), 1, word);
            uint64_t bits = word[k % PARTS][b % 4][k / PARTS] & 0xffffffff;
            int64_t row = (int64_t)((bits * (uint64_t)(plan->rows - b)) >> 32), place = 0;
            for (; place < sorted && drawn[place] <= row; place++) row++;
            for (int64_t j = sorted++; j > place; j--) drawn[j] = drawn[j - 1];
            drawn[place] = row;
            for (int64_t t = 0; t < tokens; t++) {
                const double *entry = plan->inputs + (row * tokens + t) * n;
                x->exponent[b * tokens + t][k] = (lane_int)plan->input_exponents[row * tokens + t];
                for (int64_t i = 0; i < n; i++) column(x, b * tokens + t)[i][k] = (real)entry[i];
            }
        }
    normalise_columns(x);
}

#endif
