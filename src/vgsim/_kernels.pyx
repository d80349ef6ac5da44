"""The OpenMP loop over lane groups of samples, and direct access to the kernels for tests."""

import os

import numpy as np

cimport numpy as cnp
from cython.parallel cimport parallel, prange
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

cnp.import_array()

cdef extern from "vg_api.h" nogil:
    enum:
        VG_MATRIX_FREE
        VG_DENSE
        VG_SCALAR
        VG_NORMAL
        VG_UNIFORM
        VG_TRUNCATED_NORMAL
        VG_ORTHOGONAL
        VG_IDENTITY
        VG_NO_NORM
        VG_BATCH_NORM
        VG_LAYER_NORM
        VG_RMS_NORM
        VG_NO_CLIP
        VG_CLIP_NORM
        VG_CLIP_VALUE
        VG_LINEAR_LOSS
        VG_MSE
        VG_CROSS_ENTROPY
        VG_BASIS
        VG_WEIGHTS
        VG_BIAS
        VG_SHIFT
        VG_GATE_BIAS
        VG_DRIVE
        VG_NORM
        VG_ACTIVATE
        VG_MASK
        VG_COPY
        VG_SUM
        VG_MULTIPLY
        VG_MIX
        VG_ATTEND
        VG_TRANSIENT
        VG_COPIES
        VG_ADDS
        VG_RECORDED
        VG_SHARED
        VG_CAUSAL
        VG_ADDED
        VG_BALANCED
        VG_MASKED
        VG_NEGATIVE
        VG_KNOWN
        VG_FOLLOWS
        VG_LONE
        VG_PAIR
        VG_OK
        VG_CANCELLED

    ctypedef struct vg_operation:
        int32_t kind, flags
        int32_t target, source, gate
        int32_t law, distance, heads
        int64_t number
        int64_t rows, columns, room
        double scale, factor
        double parameters[2]
        double saturated_below

    ctypedef int vg_flag
    void vg_raise(vg_flag *flag)
    int vg_is_raised(const vg_flag *flag)

    ctypedef struct vg_plan:
        int64_t depth
        const int64_t *widths
        int engine, plain
        int64_t places
        const int64_t *inner_column
        const double *weight_scale
        const double *bias_scale
        int norm
        double norm_epsilon, cancellation
        int activation
        double parameters[2]
        double saturated_below
        const void *tables
        const vg_operation *operations
        int64_t n_bodies
        const int64_t *bodies
        const int64_t *order
        const int64_t *matrices
        const int64_t *masks
        const uint8_t *resting
        int64_t registers, widest, state, most_rows, most_columns
        int64_t shared, driven, gate_biases
        int grouped
        int64_t batch, tokens, tangents
        int clip
        double clip_at
        int loss
        uint32_t key[2]
        int zeros
        const double *inputs
        const int64_t *input_exponents
        int64_t rows
        uint64_t first
        int64_t count
        int64_t n_segments
        const int64_t *segment_ends
        int64_t n_columns, n_weight_columns, n_saturation_columns
        const int64_t *column
        const int64_t *weight_column
        const int64_t *saturation_column
        double *gradient
        double *rms_min
        double *rms_max
        double *output_gradient
        uint8_t *dead
        double *activation_rms
        double *saturation
        double *weight_gradient
        double *update_ratio
        double *clipped
        double *activation_correlation
        double *gradient_correlation
        double *stretching
        const vg_flag *cancelled

    ctypedef struct vg_kernel:
        int lanes, n_activations, n_custom
        const char *const *activation_names
        size_t (*scratch_bytes)(const vg_plan *plan) noexcept nogil
        size_t (*body_bytes)(const vg_plan *plan, int64_t body) noexcept nogil
        int (*run)(const vg_plan *plan, uint64_t group, void *scratch) noexcept nogil
        void (*words)(const uint32_t *key, uint32_t stream, uint32_t layer, uint64_t index,
                      uint32_t block, int64_t count, uint32_t *out) noexcept nogil
        void (*draws)(const uint32_t *key, uint32_t stream, uint32_t layer, uint64_t index,
                      int law, int64_t count, double *out) noexcept nogil
        void (*gamma_draws)(const uint32_t *key, uint32_t stream, uint32_t layer, uint64_t first,
                            int64_t count, int64_t trials, const double *degrees,
                            double *out) noexcept nogil
        double (*generate)(const uint32_t *key, uint64_t groups, int64_t layers, int64_t units,
                           void *scratch) noexcept nogil
        void (*activation)(int activation, const double *parameters, const void *table, double h,
                           int64_t exponent, double *out) noexcept nogil

    void vg_clean_registers() nogil
    int vg_isa_count()
    const char *vg_isa_name(int isa)
    int vg_isa_supported(int isa)
    const vg_kernel *vg_kernel_of(int isa, int bits)

cdef extern from *:
    """
    #include <omp.h>
    #include <pthread.h>
    #include <stdlib.h>
    #ifdef __linux__
    #include <sched.h>
    #include <sys/mman.h>
    #endif
    /* With OMP_PROC_BIND, OMP_PLACES or similar settings, OpenMP binds the thread that loads it,
       and the first thread of every team, to the first place. Returns the number of processors of
       all places, 0 if there are none; `unbind` lets this thread run on all of them. */
    static int vg_processors(int unbind)
    {
        int found = 0;
    #ifdef __linux__
        cpu_set_t all;
        CPU_ZERO(&all);
        for (int place = 0; place < omp_get_num_places(); place++) {
            int count = omp_get_place_num_procs(place), *ids = malloc(sizeof(int) * (count + 1));
            if (ids == NULL) return 0;
            omp_get_place_proc_ids(place, ids);
            for (int i = 0; i < count; i++)
                if (ids[i] < CPU_SETSIZE) CPU_SET(ids[i], &all);
            free(ids);
        }
        found = CPU_COUNT(&all);
        if (unbind && found) (void)sched_setaffinity(0, sizeof all, &all);
    #endif
        return found;
    }
    static pthread_mutex_t vg_gate = PTHREAD_MUTEX_INITIALIZER;
    static void *vg_wait(void *nothing)
    {
        pthread_mutex_lock(&vg_gate);
        pthread_mutex_unlock(&vg_gate);
        return nothing;
    }
    /* Starts threads as OpenMP would, which exits if one fails; returns the number started. */
    static int vg_startable(int count, size_t stack_bytes)
    {
        pthread_t *threads = malloc(sizeof(pthread_t) * (size_t)(count + 1));
        pthread_attr_t attributes;
        int started = 0;
        if (threads == NULL || pthread_attr_init(&attributes)) return 0;
        if (stack_bytes) (void)pthread_attr_setstacksize(&attributes, stack_bytes);
        pthread_mutex_lock(&vg_gate);
        while (started < count && !pthread_create(threads + started, &attributes, vg_wait, NULL))
            started++;
        pthread_mutex_unlock(&vg_gate);
        for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
        (void)pthread_attr_destroy(&attributes);
        free(threads);
        return started;
    }
    static void vg_whole_team(void) /* the next team gets the requested number of threads */
    {
        omp_set_dynamic(0);
        if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
    }
    static void *vg_allocate(size_t bytes) /* large blocks in huge pages */
    {
        const size_t page = (size_t)2 << 20;
        void *place = NULL;
        if (posix_memalign(&place, bytes < page ? 64 : page, bytes ? bytes : 64)) return NULL;
    #ifdef MADV_HUGEPAGE
        if (bytes >= page) (void)madvise(place, bytes, MADV_HUGEPAGE);
    #endif
        return place;
    }
    #define vg_add(counter, n) __atomic_fetch_add(counter, n, __ATOMIC_RELAXED)
    #define vg_read(counter) __atomic_load_n(counter, __ATOMIC_RELAXED)
    """
    const char *VG_COMPILER
    int omp_get_thread_limit() nogil
    int vg_processors(int unbind) nogil
    int vg_startable(int count, size_t stack_bytes) nogil
    void vg_whole_team() nogil
    void *vg_allocate(size_t bytes) nogil
    void vg_add(int64_t *counter, int64_t n) nogil
    int64_t vg_read(const int64_t *counter) nogil

COMPILER = VG_COMPILER.decode()
ENGINES = {"matrix-free": VG_MATRIX_FREE, "dense": VG_DENSE, "scalar": VG_SCALAR}
LAWS = {
    "normal": VG_NORMAL,
    "uniform": VG_UNIFORM,
    "truncated_normal": VG_TRUNCATED_NORMAL,
    "orthogonal": VG_ORTHOGONAL,
    "identity": VG_IDENTITY,
}
NORMS = {None: VG_NO_NORM, "batch": VG_BATCH_NORM, "layer": VG_LAYER_NORM, "rms": VG_RMS_NORM}
CLIPS = {None: VG_NO_CLIP, "norm": VG_CLIP_NORM, "value": VG_CLIP_VALUE}
KINDS = {
    "basis": VG_BASIS,
    "weights": VG_WEIGHTS,
    "bias": VG_BIAS,
    "shift": VG_SHIFT,
    "gate_bias": VG_GATE_BIAS,
    "drive": VG_DRIVE,
    "norm": VG_NORM,
    "activate": VG_ACTIVATE,
    "mask": VG_MASK,
    "copy": VG_COPY,
    "sum": VG_SUM,
    "multiply": VG_MULTIPLY,
    "mix": VG_MIX,
    "attend": VG_ATTEND,
}
FLAGS = {
    "transient": VG_TRANSIENT,
    "copies": VG_COPIES,
    "adds": VG_ADDS,
    "recorded": VG_RECORDED,
    "shared": VG_SHARED,
    "causal": VG_CAUSAL,
    "added": VG_ADDED,
    "balanced": VG_BALANCED,
    "masked": VG_MASKED,
    "negative": VG_NEGATIVE,
    "known": VG_KNOWN,
    "follows": VG_FOLLOWS,
    "lone": VG_LONE,
    "pair": VG_PAIR,
}
OPERATION = np.dtype(
    [
        *((name, np.int32) for name in ("kind", "flags", "target", "source", "gate")),
        *((name, np.int32) for name in ("law", "distance", "heads")),
        *((name, np.int64) for name in ("number", "rows", "columns", "room")),
        *((name, np.float64) for name in ("scale", "factor")),
        ("parameters", np.float64, 2),
        ("saturated_below", np.float64),
    ]
)
assert OPERATION.itemsize == sizeof(vg_operation)
LOSSES = {"linear": VG_LINEAR_LOSS, "mse": VG_MSE, "cross_entropy": VG_CROSS_ENTROPY}
EVERY_ACTIVATION = tuple(
    vg_kernel_of(0, 32).activation_names[i].decode()
    for i in range(vg_kernel_of(0, 32).n_activations)
)
ACTIVATIONS = EVERY_ACTIVATION[:-vg_kernel_of(0, 32).n_custom]

cdef object forced_isa = None

vg_processors(True)


def openmp_limits():
    """Return the processors that OpenMP binds threads to (0: no binding) and the thread limit."""
    return vg_processors(False), omp_get_thread_limit()


def startable(int count, size_t stack_bytes):
    """Return how many threads can be started at a time, up to `count`; 0: default stack size."""
    cdef int started
    with nogil:
        started = vg_startable(count, stack_bytes)
    return started


def compiled_isas():
    """Return the names of the instruction sets with compiled kernels, the slowest first."""
    return tuple(vg_isa_name(i).decode() for i in range(vg_isa_count()))


def available_isas():
    """Return the instruction sets in `compiled_isas` that this processor can run."""
    return tuple(vg_isa_name(i).decode() for i in range(vg_isa_count()) if vg_isa_supported(i))


def set_isa(name):
    """Select an instruction set for all later runs; None: VGSIM_ISA, else the fastest available."""
    global forced_isa
    if name is not None:
        check_isa("isa", name)
    forced_isa = name


def selected_isa():
    """Return the instruction set in use: from set_isa, else VGSIM_ISA, else the fastest."""
    if forced_isa is not None:
        return forced_isa
    name = os.environ.get("VGSIM_ISA")
    if name:
        check_isa("environment variable VGSIM_ISA", name)
        return name
    return available_isas()[-1]


def check_isa(argument, name):
    if name in available_isas():
        return
    known = name in compiled_isas()
    why = "cannot run on this processor" if known else "is not among the compiled kernels"
    raise ValueError(
        f"{argument} = {name!r} {why}; the choices here are {', '.join(available_isas())}"
    )


cdef const vg_kernel *kernel(dtype) except NULL:
    bits = {"float32": 32, "float64": 64}[dtype]
    return vg_kernel_of(compiled_isas().index(selected_isa()), bits)


def lanes(dtype):
    """Return the number of samples in one lane group of the selected kernel."""
    return kernel(dtype).lanes


def words(const uint32_t[::1] key, uint32_t stream, uint32_t layer, uint64_t index, int64_t count,
          uint32_t block=0, dtype="float32"):
    """Return random words of one stream of a sample, from `block` on, by the kernel of `dtype`."""
    out = np.empty(count, np.uint32)
    cdef uint32_t[::1] view = out
    if count:
        kernel(dtype).words(&key[0], stream, layer, index, block, count, &view[0])
    return out


def draws(const uint32_t[::1] key, uint32_t stream, uint32_t layer, uint64_t index, law,
          int64_t count, dtype):
    """Return raw draws of one stream of a sample; law "normal", "uniform" or "truncated_normal"."""
    out = np.empty(count)
    cdef double[::1] view = out
    if count:
        kernel(dtype).draws(&key[0], stream, layer, index, LAWS[law], count, &view[0])
    return out


def gamma_draws(const uint32_t[::1] key, uint32_t stream, uint32_t layer, uint64_t first,
                int64_t trials, const double[:, ::1] degrees, dtype):
    """Return rows (Bin(trials, 1/2), χ², χ²) of samples first, first + 1, … with these degrees.

    `degrees` has one row of two numbers for each sample.
    """
    out = np.empty((degrees.shape[0], 3))
    cdef double[:, ::1] view = out
    assert degrees.shape[1] == 2
    if degrees.shape[0]:
        kernel(dtype).gamma_draws(&key[0], stream, layer, first, degrees.shape[0], trials,
                                  &degrees[0, 0], &view[0, 0])
    return out


def activation(name, parameters, h, exponent, dtype, cnp.ndarray table=None):
    """Return value, slope and exponent e of an activation at h · 2**exponent: φ = value · 2**e.

    A custom activation has its table in place of parameters.
    """
    out = np.empty(3)
    cdef double[::1] view = out
    cdef double p[2]
    p[0], p[1] = parameters
    kernel(dtype).activation(EVERY_ACTIVATION.index(name), p, table_of(table, dtype), h, exponent,
                             &view[0])
    return out


def generate(const uint32_t[::1] key, int64_t groups, int64_t layers, int64_t units, int n_threads,
             dtype):
    """Draw layers × units normals per lane and group and discard them, to time the generator."""
    cdef const vg_kernel *k = kernel(dtype)
    cdef const uint32_t *words = &key[0]
    cdef int64_t _group
    cdef double total = 0
    cdef void *scratch = NULL
    vg_whole_team()
    with nogil, parallel(num_threads=n_threads):
        vg_processors(True)
        vg_clean_registers()
        scratch = vg_allocate(<size_t>(units + 4) * 64)
        if scratch != NULL:
            for _group in prange(groups, schedule="dynamic"):
                total += k.generate(words, 1, layers, units, scratch)
        free(scratch)
    return total


cdef class Run:
    """One run of a kernel: holds the arrays of a plan; simulates, counts samples, cancels.

    `fields` are the numbers and arrays of vg_plan (vg_api.h) by name. Output arrays are written in
    place; outputs that are missing or None are not computed.
    """

    cdef vg_plan plan
    cdef const vg_kernel *kernel
    cdef vg_flag cancelled
    cdef int64_t finished, failed
    cdef object arrays

    def __init__(self, dtype, key, **fields):
        self.kernel = kernel(dtype)
        self.arrays = dict(fields)
        self.plan.key[0], self.plan.key[1] = key
        self.plan.depth = fields.pop("depth")
        self.plan.widths = integers(fields.pop("widths"))
        self.plan.engine = ENGINES[fields.pop("engine")]
        self.plan.plain = fields.pop("plain")
        self.plan.places = fields.pop("places")
        self.plan.inner_column = integers(fields.pop("inner_column", None))
        self.plan.weight_scale = reals(fields.pop("weight_scale", None))
        self.plan.bias_scale = reals(fields.pop("bias_scale", None))
        self.plan.norm = NORMS[fields.pop("norm", None)]
        self.plan.norm_epsilon = fields.pop("norm_epsilon", 0.0)
        self.plan.cancellation = fields.pop("cancellation", 0.0)
        self.plan.activation = EVERY_ACTIVATION.index(fields.pop("activation", "linear"))
        self.plan.parameters[0], self.plan.parameters[1] = fields.pop("parameters", (0.0, 0.0))
        self.plan.saturated_below = fields.pop("saturated_below", 0.0)
        self.plan.tables = table_of(fields.pop("tables", None), dtype)
        cdef cnp.ndarray operations = fields.pop("operations", None)
        if operations is not None:
            assert operations.dtype == OPERATION and operations.flags.c_contiguous
            self.plan.operations = <const vg_operation *>cnp.PyArray_DATA(operations)
        bodies = fields.pop("bodies", None)
        self.plan.bodies = integers(bodies)
        self.plan.n_bodies = 0 if bodies is None else len(bodies) - 1
        self.plan.order = integers(fields.pop("order", None))
        self.plan.matrices = integers(fields.pop("matrices", None))
        self.plan.masks = integers(fields.pop("masks", None))
        self.plan.resting = flags(fields.pop("resting", None))
        self.plan.registers = fields.pop("registers", 0)
        self.plan.widest = fields.pop("widest", 0)
        self.plan.most_rows, self.plan.most_columns = fields.pop("stored_shape", (0, 0))
        self.plan.state = fields.pop("state", 1)
        self.plan.shared = fields.pop("shared", 0)
        self.plan.driven = fields.pop("driven", 0)
        self.plan.gate_biases = fields.pop("gate_biases", 0)
        self.plan.grouped = fields.pop("grouped", False)
        self.plan.batch = fields.pop("batch")
        self.plan.tokens = fields.pop("tokens")
        self.plan.tangents = fields.pop("tangents")
        self.plan.clip = CLIPS[fields.pop("clip")]
        self.plan.clip_at = fields.pop("clip_at")
        self.plan.loss = LOSSES[fields.pop("loss")]
        self.plan.zeros = fields.pop("zeros")
        self.plan.inputs = reals(fields.pop("inputs"))
        self.plan.input_exponents = integers(fields.pop("input_exponents"))
        self.plan.rows = fields.pop("rows")
        self.plan.first = fields.pop("first", 0)
        self.plan.count = fields.pop("count", 0)
        segment_ends = fields.pop("segment_ends")
        self.plan.segment_ends = integers(segment_ends)
        self.plan.n_segments = len(segment_ends)
        self.plan.n_columns = fields.pop("n_columns", 0)
        self.plan.n_weight_columns = fields.pop("n_weight_columns", 0)
        self.plan.n_saturation_columns = fields.pop("n_saturation_columns", 0)
        self.plan.column = integers(fields.pop("column", None))
        self.plan.weight_column = integers(fields.pop("weight_column", None))
        self.plan.saturation_column = integers(fields.pop("saturation_column", None))
        self.plan.gradient = reals(fields.pop("gradient", None))
        self.plan.rms_min = reals(fields.pop("rms_min", None))
        self.plan.rms_max = reals(fields.pop("rms_max", None))
        self.plan.output_gradient = reals(fields.pop("output_gradient", None))
        self.plan.activation_rms = reals(fields.pop("activation_rms", None))
        self.plan.saturation = reals(fields.pop("saturation", None))
        self.plan.weight_gradient = reals(fields.pop("weight_gradient", None))
        self.plan.update_ratio = reals(fields.pop("update_ratio", None))
        self.plan.clipped = reals(fields.pop("clipped", None))
        self.plan.activation_correlation = reals(fields.pop("activation_correlation", None))
        self.plan.gradient_correlation = reals(fields.pop("gradient_correlation", None))
        self.plan.stretching = reals(fields.pop("stretching", None))
        self.plan.dead = flags(fields.pop("dead", None))
        self.plan.cancelled = &self.cancelled
        if fields:
            raise TypeError(f"a plan has no {', '.join(fields)}")

    @property
    def scratch_bytes(self):
        """Working memory of one thread, in bytes."""
        return self.kernel.scratch_bytes(&self.plan)

    def body_bytes(self, int64_t body):
        """Bytes that a place with this body stores in the forward pass."""
        return self.kernel.body_bytes(&self.plan, body)

    @property
    def done(self):
        """Number of samples simulated so far."""
        return min(vg_read(&self.finished), self.plan.count)

    def cancel(self):
        """Make `simulate` return soon, with incomplete results."""
        vg_raise(&self.cancelled)

    def simulate(self, int n_threads, int chunk):
        """Simulate all samples without the GIL; a thread takes `chunk` lane groups at a time."""
        cdef int64_t width = self.kernel.lanes
        cdef int64_t first_group = <int64_t>(self.plan.first // <uint64_t>width)
        cdef int64_t last_group = <int64_t>(
            (self.plan.first + <uint64_t>self.plan.count - 1) // <uint64_t>width
        )
        cdef int64_t group
        cdef size_t bytes_needed = self.kernel.scratch_bytes(&self.plan)
        cdef void *scratch = NULL
        vg_whole_team()
        with nogil, parallel(num_threads=n_threads):
            vg_processors(True)
            vg_clean_registers()
            scratch = vg_allocate(bytes_needed)
            if scratch == NULL:
                vg_add(&self.failed, 1)
                vg_raise(&self.cancelled)
            for group in prange(first_group, last_group + 1, schedule="dynamic", chunksize=chunk):
                if not vg_is_raised(&self.cancelled):
                    if self.kernel.run(&self.plan, <uint64_t>group, scratch) == VG_OK:
                        vg_add(&self.finished, width)
            free(scratch)
        if self.failed:
            raise MemoryError(
                f"{self.failed} of {n_threads} threads could not allocate {bytes_needed} bytes of "
                "working memory; lower n_threads, depth or width"
            )


cdef double *reals(cnp.ndarray array) except? NULL:
    if array is None:
        return NULL
    assert array.dtype == np.float64 and array.flags.c_contiguous
    return <double *>cnp.PyArray_DATA(array)


cdef const void *table_of(cnp.ndarray array, dtype) except? NULL:
    if array is None:
        return NULL
    assert array.dtype == np.dtype(dtype) and array.flags.c_contiguous
    return cnp.PyArray_DATA(array)


cdef const int64_t *integers(cnp.ndarray array) except? NULL:
    if array is None:
        return NULL
    assert array.dtype == np.int64 and array.flags.c_contiguous
    return <const int64_t *>cnp.PyArray_DATA(array)


cdef uint8_t *flags(cnp.ndarray array) except? NULL:
    if array is None:
        return NULL
    assert array.dtype == np.bool_ and array.flags.c_contiguous
    return <uint8_t *>cnp.PyArray_DATA(array)
