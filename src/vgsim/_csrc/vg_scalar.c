/* Scalar double arithmetic: logarithms of recorded values, and χ² draws. Compiled once, at the
   baseline, from + − × ÷ √ only, so that the same bits are recorded on every instruction set. */
#include "vg_api.h"
#include "vg_coefficients.h"
#include "vg_machine.h"

typedef union {
    double real;
    uint64_t bits;
} both;

static double polynomial(double x, const double *c, int count)
{
    double sum = c[count - 1];
    for (int k = count - 2; k >= 0; k--) sum = sum * x + c[k];
    return sum;
}

#define POLYNOMIAL(x, c) polynomial(x, c, (int)(sizeof c / sizeof(double)))

#define LN_2 0.6931471805599453
#define LOG10_2 0.3010299956639812
#define LOG10_E 0.4342944819032518

/* x = 2^e m with √½ ≤ m < √2; returns log m. */
static double log_reduced(double x, int64_t *e)
{
    both u = {x}, root_half = {0.7071067811865476};
    *e = (int64_t)(u.bits - root_half.bits) >> 52;
    u.bits -= (uint64_t)*e << 52;
    double f = u.real - 1, s = f / (2 + f), w = s * s;
    return 2 * s + s * w * POLYNOMIAL(w, LOG_RATIO_64);
}

static double natural_log(double x)
{
    int64_t e;
    double m = log_reduced(x, &e);
    return (double)e * LN_2 + m;
}

double vg_log10(double significand, int64_t exponent)
{
    int64_t e;
    if (significand == 0) return -__builtin_inf();
    double m = log_reduced(significand, &e);
    return (double)(e + exponent) * LOG10_2 + m * LOG10_E;
}

double vg_power_of_two(int64_t exponent)
{
    int64_t e = exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent;
    both u = {.bits = (uint64_t)(e + 1023) << 52};
    return u.real;
}

static void philox(const uint32_t key[2], uint32_t block, uint32_t layer, uint64_t index, uint32_t c[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    c[0] = block;
    c[1] = layer;
    c[2] = (uint32_t)index;
    c[3] = (uint32_t)VG_STREAM_NORM << 24 | (uint32_t)(index >> 32);
    for (int r = 0; r < 7; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
    }
}

/* (k + ½) 2^-52 for the low 52 bits k. */
static double unit_interval(uint64_t bits)
{
    both u = {.bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000};
    return u.real - (1 - 0x1p-53);
}

/* The first normal of a Box-Muller pair (vg_draws.h, 64 bits). */
static double first_normal(const uint32_t w[4])
{
    uint64_t radius = (uint64_t)w[0] << 32 | w[1], angle = (uint64_t)w[2] << 32 | w[3];
    double r = __builtin_sqrt(-2 * natural_log(unit_interval(radius)));
    double x = unit_interval(angle), y = x * x;
    double z = angle >> 62 & 1 ? x * POLYNOMIAL(y, SIN_64) : POLYNOMIAL(y, COS_64);
    return radius >> 63 ? -r * z : r * z;
}

double vg_normal(const uint32_t key[2], uint32_t block, uint32_t layer, uint64_t index)
{
    uint32_t w[4];
    philox(key, block, layer, index, w);
    return first_normal(w);
}

/* χ² with ν degrees of freedom, by Marsaglia & Tsang (ACM TOMS 26, 2000) for the shape a = ν/2. For
   ν = 1 the draw has the shape a + 1 and is multiplied by U^(1/a). */
double vg_chi_square(const uint32_t key[2], uint32_t block, uint32_t layer, uint64_t index,
                     double degrees_of_freedom)
{
    if (degrees_of_freedom <= 0) return 0;
    double shape = degrees_of_freedom / 2 + (degrees_of_freedom == 1);
    double d = shape - 1.0 / 3, c = 1 / __builtin_sqrt(9 * d);
    for (;; block += 2) {
        uint32_t w[4];
        philox(key, block, layer, index, w);
        double x = first_normal(w), v = 1 + c * x;
        philox(key, block + 1, layer, index, w);
        double u = unit_interval(((uint64_t)w[0] << 32 | w[1]) >> 12);
        double boost = unit_interval(((uint64_t)w[2] << 32 | w[3]) >> 12);
        if (v <= 0) continue;
        v = v * v * v;
        if (natural_log(u) < x * x / 2 + d - d * v + d * natural_log(v))
            return 2 * d * v * (degrees_of_freedom == 1 ? boost * boost : 1);
    }
}
