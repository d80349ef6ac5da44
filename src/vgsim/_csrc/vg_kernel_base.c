#define VG_ISA base
#include "vg_kernel.h"
