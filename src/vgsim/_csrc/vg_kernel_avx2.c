#define VG_ISA avx2
#include "vg_kernel.h"
