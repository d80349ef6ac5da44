/* The C interface between the Cython layer and the kernels: one plan, one kernel table per
   instruction set and real type. */
#ifndef VG_API_H
#define VG_API_H

#include <stddef.h>
#include <stdint.h>

enum { VG_MATRIX_FREE = 0, VG_DENSE = 1 };
enum { VG_NORMAL = 0, VG_UNIFORM = 1, VG_TRUNCATED_NORMAL = 2, VG_ORTHOGONAL = 3, VG_IDENTITY = 4 };
enum { VG_NO_NORM = 0, VG_BATCH_NORM = 1, VG_LAYER_NORM = 2, VG_RMS_NORM = 3 };
enum { VG_NO_SKIP = 0, VG_ACTIVATED = 1, VG_LINEAR = 2, VG_POST = 3, VG_PRE = 4, VG_HIGHWAY = 5 };
enum { VG_NO_CLIP = 0, VG_CLIP_NORM = 1, VG_CLIP_VALUE = 2 };
enum { VG_LINEAR_LOSS = 0, VG_MSE = 1, VG_CROSS_ENTROPY = 2 };

enum {
    VG_STREAM_INPUT = 0,
    VG_STREAM_FORWARD = 1,
    VG_STREAM_BACKWARD = 2,
    VG_STREAM_BIAS = 3,
    VG_STREAM_GATE_FORWARD = 4,
    VG_STREAM_GATE_BACKWARD = 5,
    VG_STREAM_COTANGENT = 6,
    VG_STREAM_TARGETS = 7,
    VG_STREAM_NORM = 9,
    VG_STREAM_INPUT_WEIGHTS = 10,
    VG_STREAM_DRIVE = 11,
    VG_STREAM_TANGENT = 13
};

enum { VG_OK = 0, VG_CANCELLED = 1 };

/* What to simulate and where to write it. Layer arrays are indexed by l = 0 … depth. A column is
   the place of a layer among the recorded ones, or -1. Output pointers of quantities that are not
   recorded are NULL. All outputs are row-major with one row per sample; row 0 is sample `first`. */
typedef struct {
    int64_t depth;
    const int64_t *widths;       /* n_0 … n_D */
    const double *weight_scale;  /* factor of the raw draws of W_l; entry 0 unused */
    const double *bias_scale;    /* factor of the raw draws of b_l, 0 where there is none */
    int engine, weight_law, bias_law;
    int activation;
    double parameters[2];
    double saturated_below;      /* |φ'| below this counts as saturated */
    int plain; /* one input, none of the techniques below: run_block (vg_kernel.h) */
    int64_t batch;
    int64_t tangents; /* if > 0, they replace the backward pass */
    int norm;
    double norm_epsilon;
    int skip; /* a style of residual blocks, or VG_HIGHWAY */
    int64_t every; /* layers in a block */
    double identity, branch; /* factors of a block's input and of its branch */
    double gate_bias;
    int clip;
    double clip_at;
    int loss;
    int recurrent; /* an RNN: one weight matrix for all layers, which are its steps */
    double input_scale; /* standard deviation of the entries of U */
    uint32_t key[2];
    const double *inputs; /* rows × n_0 significands, or NULL for N(0, 1) */
    const int64_t *input_exponents;
    int64_t rows;
    uint64_t first;
    int64_t count;
    int64_t n_segments;
    const int64_t *segment_ends; /* last layer of each segment, ascending, the last is depth */
    int64_t n_columns, n_weight_columns, n_saturation_columns;
    const int64_t *column, *weight_column, *saturation_column;
    double *gradient, *rms_min, *rms_max, *output_gradient;
    uint8_t *dead;
    double *activation_rms, *saturation, *weight_gradient, *update_ratio, *clipped;
    double *stretching; /* n_columns × tangents values per sample */
    const volatile int *cancelled;
} vg_plan;

typedef struct {
    int lanes, n_activations;
    const char *const *activation_names; /* the index in this list identifies an activation */
    size_t (*scratch_bytes)(const vg_plan *plan);
    /* Simulates the samples of the lane group `group` (indices group·lanes … + lanes - 1) that lie
       in [first, first + count). `scratch` is 64-byte aligned and belongs to the calling thread. */
    int (*run)(const vg_plan *plan, uint64_t group, void *scratch);
    /* Raw draws of one sample: random words, and values of a law (VG_NORMAL, …) as double. */
    void (*words)(const uint32_t key[2], uint32_t stream, uint32_t layer, uint64_t index, uint32_t block,
                  int64_t count, uint32_t *out);
    void (*draws)(const uint32_t key[2], uint32_t stream, uint32_t layer, uint64_t index, int law,
                  int64_t count, double *out);
    /* Draws `units` normals per lane, layer and group: the generator alone, for benchmarks. */
    double (*generate)(const uint32_t key[2], uint64_t groups, int64_t layers, int64_t units, void *scratch);
    /* φ and φ' of one activation at h · 2^exponent: the value is out[0] 2^out[2],
       the slope out[1]. */
    void (*activation)(int activation, const double parameters[2], double h, int64_t exponent, double out[3]);
} vg_kernel;

/* Scalar double arithmetic shared by all kernels; compiled once, at the baseline. */
double vg_log10(double significand, int64_t exponent); /* of significand · 2^exponent; -inf at 0 */
double vg_chi_square(const uint32_t key[2], uint32_t layer, uint64_t index, double degrees_of_freedom);

/* Dispatch. */
void vg_clean_registers(void); /* to be called by each thread before it runs kernels */
int vg_isa_count(void);
const char *vg_isa_name(int isa);
int vg_isa_supported(int isa);
const vg_kernel *vg_kernel_of(int isa, int bits);

#endif
