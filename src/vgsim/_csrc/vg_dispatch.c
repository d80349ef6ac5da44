/* Which kernels were compiled, and which this processor can run. Compiled at the baseline only. */
#include <stddef.h>

#include "vg_api.h"

extern const vg_kernel vg_kernel_base_32, vg_kernel_base_64;
#ifdef VG_HAVE_AVX2
extern const vg_kernel vg_kernel_avx2_32, vg_kernel_avx2_64;
#endif
#ifdef VG_HAVE_AVX512
extern const vg_kernel vg_kernel_avx512_32, vg_kernel_avx512_64;
#endif

static int always(void) { return 1; }

#ifdef VG_HAVE_AVX2
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

#ifdef VG_HAVE_AVX512
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static const struct {
    const char *name;
    int (*supported)(void);
    const vg_kernel *kernel32, *kernel64;
} table[] = {
    {"base", always, &vg_kernel_base_32, &vg_kernel_base_64},
#ifdef VG_HAVE_AVX2
    {"avx2", has_avx2, &vg_kernel_avx2_32, &vg_kernel_avx2_64},
#endif
#ifdef VG_HAVE_AVX512
    {"avx512", has_avx512, &vg_kernel_avx512_32, &vg_kernel_avx512_64},
#endif
};

/* Clears the upper halves of the vector registers. If earlier code left them set, baseline
   instructions run about three times as slowly. */
void vg_clean_registers(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroupper");
#endif
}

int vg_isa_count(void) { return (int)(sizeof table / sizeof table[0]); }
const char *vg_isa_name(int isa) { return table[isa].name; }
int vg_isa_supported(int isa) { return table[isa].supported(); }
const vg_kernel *vg_kernel_of(int isa, int bits)
{
    return bits == 32 ? table[isa].kernel32 : table[isa].kernel64;
}
