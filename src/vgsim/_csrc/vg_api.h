/* The C interface between the Cython layer and the kernels: one plan, one kernel table per
   instruction set and real type. */
#ifndef VG_API_H
#define VG_API_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { VG_MATRIX_FREE = 0, VG_DENSE = 1, VG_SCALAR = 2 };
enum { VG_NORMAL = 0, VG_UNIFORM = 1, VG_TRUNCATED_NORMAL = 2, VG_ORTHOGONAL = 3, VG_IDENTITY = 4 };
enum { VG_NO_NORM = 0, VG_BATCH_NORM = 1, VG_LAYER_NORM = 2, VG_RMS_NORM = 3 };
enum { VG_NO_CLIP = 0, VG_CLIP_NORM = 1, VG_CLIP_VALUE = 2 };
enum { VG_LINEAR_LOSS = 0, VG_MSE = 1, VG_CROSS_ENTROPY = 2 };

enum {
    VG_STREAM_INPUT = 0,
    VG_STREAM_FORWARD = 1,
    VG_STREAM_BACKWARD = 2,
    VG_STREAM_BIAS = 3,
    VG_STREAM_COTANGENT = 6,
    VG_STREAM_TARGETS = 7,
    VG_STREAM_NORM = 9,
    VG_STREAM_INPUT_WEIGHTS = 10,
    VG_STREAM_DRIVE = 11,
    VG_STREAM_TANGENT = 13,
    VG_STREAM_MASK = 14
};

enum { VG_OK = 0, VG_CANCELLED = 1 };

/* The operations of composed networks. Their functions are listed in vg_operations.h. */
enum {
    VG_BASIS,    /* factorises X = Q R in register `source` for the matrices that multiply it */
    VG_WEIGHTS,  /* target ← W source */
    VG_BIAS,     /* target ← target + scale ζ, the same ζ for all columns */
    VG_SHIFT,    /* target ← target + scale */
    VG_GATE_BIAS, /* target ← target + b, made of the draws before the pass (vg_gates.h) */
    VG_DRIVE,    /* target ← target + scale U s_t */
    VG_NORM,     /* target ← its normalisation */
    VG_ACTIVATE, /* target ← φ(target) */
    VG_MASK,     /* target ← scale m ∘ target, m of zeros and ones */
    VG_COPY,     /* target ← source */
    VG_SUM,      /* target ← factor source + scale target */
    VG_MULTIPLY, /* target ← source ∘ target */
    VG_MIX,      /* target ← σ(gate) ∘ target + σ(−gate) ∘ source */
    VG_ATTEND,   /* target ← softmax attention with queries `source`, keys `gate`, values target */
    VG_OPERATIONS
};

enum {
    VG_TRANSIENT = 1, /* the output is not used in the backward pass */
    VG_COPIES = 2,    /* saves a copy, because its register is changed or used elsewhere */
    VG_ADDS = 4,      /* the gradient of `source` has other terms */
    VG_ADDED = 8,     /* a bias or a shift, which normalises, is added to the product */
    VG_RECORDED = 16, /* a matrix of "weight_gradient" and "update_ratio" */
    VG_SHARED = 32,   /* one matrix or bias for all places */
    VG_BALANCED = 64, /* the columns of Δ in every sequence are dependent */
    VG_CAUSAL = 128,
    VG_KNOWN = 256,   /* G · X is known at the output (vg_along.h) … */
    VG_FOLLOWS = 512, /* … and needed at the input */
    VG_LONE = 1024,   /* determines the gradient of a single unit from it */
    VG_PAIR = 2048,   /* or of a pair of units */
    VG_MASKED = 4096, /* an activation before a mask with VG_LONE */
    VG_NEGATIVE = 8192 /* the bias of a gate is −(ζ + …) */
};

typedef struct {
    int32_t kind, flags;
    int32_t target, source, gate; /* registers */
    int32_t law;      /* of the weights or biases; of the norm; the activation */
    int32_t distance; /* number of operations since the operand was factorised; biases of gates before */
    int32_t heads;    /* of attention; the number of vectors ζ in the bias of a gate */
    int64_t number; /* of the draws, counted in the place from 1; of a shared matrix or a drive: 1 + gate */
    int64_t rows, columns; /* of W, or units of the target */
    int64_t room; /* rows of the array of the output */
    double scale, factor;
    double parameters[2]; /* of φ, or where its table begins; ε of a norm; a mask keeps words from
                             parameters[0] on; a gate's bias: 1/most and ln most */
    double saturated_below; /* |φ'| below this counts as saturated; 0: not counted */
} vg_operation;

/* A flag that one thread raises while others read it. */
typedef _Atomic int vg_flag;
static inline void vg_raise(vg_flag *flag) { atomic_store_explicit(flag, 1, memory_order_relaxed); }
static inline int vg_is_raised(const vg_flag *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed);
}

/* What to simulate and where to write it. Arrays of places are indexed by l = 0 … depth. A column
   is the place of l among the recorded ones, or -1. Output pointers of quantities that are not
   recorded are NULL. All outputs are row-major with one row per sample; row 0 is sample `first`. */
typedef struct {
    int64_t depth;
    const int64_t *widths; /* n_0 … n_D */
    int engine;
    int plain; /* one column, matrix-free, layers W, b, norm, φ only: run_sweep (vg_recursion.h), with
                  the next fields. `depth` is then the number of layers, which may be two places each */
    int64_t places; /* the depth of the network */
    const int64_t *inner_column; /* column of H_l, if it is a place of its own, or NULL */
    const double *weight_scale; /* factor of the raw draws of W_l; entry 0 unused */
    const double *bias_scale; /* factor of the raw draws of b_l, 0 where there is none */
    int norm;
    double norm_epsilon;
    int activation;
    double parameters[2]; /* of φ, as above; the scalar engine: its slopes for h > 0 and h ≤ 0 */
    double saturated_below;
    const void *tables;   /* of custom activations (vg_custom.h), in reals of the kernel */
    double cancellation; /* sums that cancel to less than this fraction are computed unit by unit */
    const vg_operation *operations;
    int64_t n_bodies;
    const int64_t *bodies; /* first operation of each body, and the end of the last */
    const int64_t *order; /* the body of place l at l − 1 */
    const int64_t *matrices, *masks; /* numbers of matrices and of masks before place l, at l − 1 */
    const uint8_t *resting; /* whether only the state is in use after place l */
    int64_t registers, widest; /* `widest`: most rows of a register */
    int64_t state; /* registers of the state, from 0 on */
    int64_t most_rows, most_columns; /* of a matrix that the dense engine stores; 0: none */
    int64_t shared, driven, gate_biases; /* numbers of matrices that all places share, of gates with a
                                            drive, of biases of gates */
    int grouped; /* tells equal columns apart (vg_groups.h) */
    int64_t batch; /* columns: sequences times tokens */
    int64_t tokens;
    int64_t tangents; /* if > 0, they replace the backward pass */
    int clip;
    double clip_at;
    int loss;
    uint32_t key[2];
    int zeros; /* X_0 = 0 */
    const double *inputs; /* rows × tokens × n_0 significands, or NULL for N(0, 1) */
    const int64_t *input_exponents;
    int64_t rows;
    uint64_t first;
    int64_t count;
    int64_t n_segments;
    const int64_t *segment_ends; /* last place of each segment, ascending, the last is depth */
    int64_t n_columns, n_weight_columns, n_saturation_columns;
    const int64_t *column, *weight_column, *saturation_column;
    double *gradient, *rms_min, *rms_max, *output_gradient;
    uint8_t *dead;
    double *activation_rms, *saturation, *weight_gradient, *update_ratio, *clipped;
    double *activation_correlation, *gradient_correlation;
    double *stretching; /* n_columns × tangents values per sample */
    const vg_flag *cancelled;
} vg_plan;

typedef struct {
    int lanes, n_activations, n_custom;
    const char *const *activation_names; /* the index in this list identifies an activation; the
                                            last n_custom have a table */
    size_t (*scratch_bytes)(const vg_plan *plan);
    size_t (*body_bytes)(const vg_plan *plan, int64_t body); /* that a place (layer) stores */
    /* Simulates the samples of the lane group `group` (indices group·lanes … + lanes - 1) that lie
       in [first, first + count). `scratch` is 64-byte aligned and belongs to the calling thread. */
    int (*run)(const vg_plan *plan, uint64_t group, void *scratch);
    /* Raw draws of one sample: random words, and values of a law (VG_NORMAL, …) as double. */
    void (*words)(const uint32_t key[2], uint32_t stream, uint32_t layer, uint64_t index, uint32_t block,
                  int64_t count, uint32_t *out);
    void (*draws)(const uint32_t key[2], uint32_t stream, uint32_t layer, uint64_t index, int law,
                  int64_t count, double *out);
    /* Of consecutive samples: rows of Bin(trials, ½) and two χ² (vg_gamma.h). */
    void (*gamma_draws)(const uint32_t key[2], uint32_t stream, uint32_t layer, uint64_t first, int64_t count,
                        int64_t trials, const double *degrees, double *out);
    /* Draws `units` normals per lane, layer and group: the generator alone, for benchmarks. */
    double (*generate)(const uint32_t key[2], uint64_t groups, int64_t layers, int64_t units, void *scratch);
    /* φ and φ' of one activation at h · 2^exponent: the value is out[0] 2^out[2],
       the slope out[1]. */
    void (*activation)(int activation, const double parameters[2], const void *table, double h,
                       int64_t exponent, double out[3]);
} vg_kernel;

/* Scalar double arithmetic shared by all kernels; compiled once, at the baseline. */
double vg_log10(double significand, int64_t exponent); /* of significand · 2^exponent; -inf at 0 */
double vg_power_of_two(int64_t exponent); /* clipped to ±1000 */
/* Of the stream "norm", from `block` on: a normal, and χ². */
double vg_normal(const uint32_t key[2], uint32_t block, uint32_t layer, uint64_t index);
double vg_chi_square(const uint32_t key[2], uint32_t block, uint32_t layer, uint64_t index,
                     double degrees_of_freedom);
#define VG_BIAS_BLOCK 0x80000000u /* first block for the part of ‖W‖ that biases leave open */

/* Dispatch. */
void vg_clean_registers(void); /* to be called by each thread before it runs kernels */
int vg_isa_count(void);
const char *vg_isa_name(int isa);
int vg_isa_supported(int isa);
const vg_kernel *vg_kernel_of(int isa, int bits);

#endif
