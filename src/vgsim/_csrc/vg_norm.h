/* The operation NORM: batch, layer and RMS normalisation. */
#ifndef VG_NORM_H
#define VG_NORM_H

#include "vg_along.h"

typedef struct {
    columns h; /* Ĥ */
    deviations deviation;
    I *group; /* leaders of the columns, and whether some are equal (vg_groups.h) */
    int is_grouped;
} norm;

/* With VG_COPIES, Ĥ is a copy of the register, because a later operation changes that. */
static void store_norm(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    norm *t = slot;
    int64_t batch = p->b.plan->batch;
    *t = (norm){.h = p->x[o->target]};
    if (o->flags & VG_COPIES) t->h = take_columns(a, o->rows, p->batch, p->batch);
    t->h.rows = o->rows;
    t->deviation.inverse = take_vectors(a, o->law == VG_BATCH_NORM ? whole_quads(o->rows) : batch);
    t->deviation.exponent = take(a, (size_t)batch * sizeof(I));
    if (p->b.plan->grouped) t->group = take(a, (size_t)p->batch * sizeof(I));
}

/* target ← Ĥ. The derivative of normalisation is a symmetric matrix, so the function that propagates
   gradients backward also propagates tangents forward. */
static void norm_ahead(pass *p, const vg_operation *o, void *slot)
{
    const vg_plan *plan = p->b.plan;
    norm *t = slot;
    columns *h = &p->x[o->target], x = examples(plan, h);
    normalise(o->law, o->parameters[0], &x, t->deviation, p->mean);
    for (int64_t k = 1; k <= plan->tangents; k++) {
        columns tangent = part(plan, h, k);
        back_through_norm(o->law, o->parameters[0], &x, &tangent, t->deviation, p->mean, NULL);
    }
    if (o->flags & VG_COPIES) copy_columns(&t->h, h);
    if (plan->grouped) t->is_grouped = note_groups(p, t->group);
}

/* g ← the gradient of H. With groups, g holds their sums and deviations (vg_groups.h) from the last
   normalisation on. */
static void norm_back(pass *p, const vg_operation *o, void *slot)
{
    const norm *t = slot;
    columns *d = &p->g[o->target];
    const I *group = NULL;
    if (o->flags & VG_PAIR) pair_of_units(p, &t->h, d);
    if (o->flags & VG_FOLLOWS) follow(p, o, &t->h, t->deviation, d);
    if (p->b.plan->grouped) {
        group = p->grouped = t->is_grouped ? t->group : NULL;
        if (!p->gathered && group) gather(d, group);
        p->gathered = 1;
    }
    back_through_norm(o->law, o->parameters[0], &t->h, d, t->deviation, p->mean, group);
}

#endif
