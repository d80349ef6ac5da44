#define VG_ISA avx512
#include "vg_kernel.h"
