"""Build vgsim._kernels: a Cython module, a dispatcher, and C objects per instruction set.

The C objects are compiled on all cores and cached in build/ with a digest of all that they depend
on, so a second installation from the same tree compiles only what has changed.

Only the objects of an instruction set are compiled with flags such as -mavx2. The Cython module and
the dispatcher, which run before the instruction set is detected, are compiled for the baseline.
Static metadata is in pyproject.toml.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

CSRC = Path("src/vgsim/_csrc")
HEADERS = sorted(CSRC.glob("*.h"))
SOURCES = sorted(CSRC.glob("*.c"))

# Same bits on every instruction set: no contraction and no reassociation, regardless of CFLAGS.
FLOATING_POINT = [
    *("-fno-fast-math", "-ffp-contract=off"),
    *("-fno-math-errno", "-fno-trapping-math"),
]
COMMON = ["-O3", "-g1", "-std=gnu11", "-fvisibility=hidden", "-fno-lto", *FLOATING_POINT]
SCHEDULING = ["-fschedule-insns", "-fsched-pressure"]  # gcc only: 3 to 15 % faster
WARNINGS = ["-Wall", "-Wextra"]
OPENMP = ["-fopenmp"]

REALS = (32, 64)  # a kernel source is compiled once per floating-point type

X86_64_BASELINE = ["-march=x86-64"]
X86_64_VARIANTS = {
    "vg_kernel_avx2": ["-mavx2", "-mfma"],
    "vg_kernel_avx512": [
        *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"),
        *("-mavx2", "-mfma"),
    ],
}

# Prints the name, version and target of the compiler, and tests that a parallel region runs with
# all its threads.
PROBE = r"""
#include <omp.h>
#include <stdio.h>

#if defined(__apple_build_version__)
#define NAME "Apple clang"
#elif defined(__clang__)
#define NAME "clang"
#else
#define NAME "gcc"
#endif
#ifdef __clang__
#define VERSION __clang_major__, __clang_minor__, __clang_patchlevel__
#else
#define VERSION __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__
#endif
#ifdef __x86_64__
#define TARGET "x86_64"
#else
#define TARGET "other"
#endif

int main(void) {
    int counted = 0, team = 0;
#pragma omp parallel num_threads(2) reduction(+ : counted) reduction(max : team)
    {
        counted += 1;
        team = omp_get_num_threads();
    }
    if (omp_get_max_threads() < 1 || counted < 1 || counted != team) {
        printf("omp_get_max_threads() is %d, %d of %d threads ran\n", omp_get_max_threads(),
               counted, team);
        return 1;
    }
    printf(NAME " %d.%d.%d\n" TARGET "\n", VERSION);
    return 0;
}
"""

NO_COMPILER = """the C compiler '{compiler}' cannot be run.
Install gcc or clang (Debian, Ubuntu: apt-get install gcc), or name another one by CC:
    CC=clang pip install ."""

NO_OPENMP = """vgsim needs OpenMP, and a test program compiled with '{command}' failed:

{output}
Install the OpenMP library of this compiler:
    gcc      libgomp, which comes with gcc itself (Debian, Ubuntu: libgomp1; Fedora: libgomp)
    clang    Debian, Ubuntu: apt-get install libomp-dev; Fedora: dnf install libomp-devel
    macOS    Apple's clang has none: brew install gcc, then for example CC=gcc-14 pip install .
or choose another compiler: CC=gcc pip install ."""

NOT_COMPILED = """{source} was not compiled by

    {command}

{output}
{reason}"""


class BuildExt(build_ext):
    """build_ext that tests OpenMP and compiles each file of _csrc with its own flags."""

    def finalize_options(self):
        """Keep generated C out of the source tree; always link, as CC or flags may have changed."""
        super().finalize_options()
        self.cython_c_in_temp = True
        self.force = True

    def build_extension(self, ext):
        """Compile the C objects in parallel, then the Cython module, and link them together."""
        import numpy as np

        if not hasattr(self.compiler, "compiler_so"):
            raise CompileError(
                f"vgsim is compiled by gcc or clang; the compiler type here is "
                f"{self.compiler.compiler_type!r}"
            )
        version, target = self.probe()
        baseline = X86_64_BASELINE if target == "x86_64" else []
        variants = X86_64_VARIANTS if target == "x86_64" else {}

        ext.include_dirs += [str(CSRC), np.get_include()]
        ext.define_macros += [
            ("VG_COMPILER", f'"{version}"'),
            ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
            *((name.upper().replace("VG_KERNEL", "VG_HAVE"), "1") for name in variants),
        ]
        ext.extra_compile_args += [*COMMON, *baseline, *OPENMP]
        ext.extra_link_args += OPENMP

        macros = [f"-D{name}={value}" for name, value in ext.define_macros]
        werror = ["-Werror"] if os.environ.get("VGSIM_WERROR") == "1" else []
        scheduling = SCHEDULING if version.startswith("gcc") else []
        common = [*macros, *COMMON, *scheduling, *WARNINGS, *werror, *baseline]
        jobs = []
        for source in SOURCES:
            if not source.stem.startswith("vg_kernel"):
                jobs.append((source, source.stem, []))
            elif source.stem == "vg_kernel_base" or source.stem in variants:
                flags = variants.get(source.stem, [])
                jobs += [(source, f"{source.stem}_{n}", [f"-DVG_BITS={n}", *flags]) for n in REALS]
        jobs.sort(key=lambda job: -job[0].stem.startswith("vg_kernel"))  # kernels take longest
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiled = pool.map(lambda job: self.compile_object(version, common, *job), jobs)
            ext.extra_objects += compiled
        super().build_extension(ext)

    def probe(self):
        """Return name and version of the compiler, and its target; fail if OpenMP does not work."""
        source, program = Path(self.build_temp, "probe.c"), Path(self.build_temp, "probe").resolve()
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(PROBE)
        compiler = [*self.compiler.compiler_so, *OPENMP]
        linker_flags = shlex.split(os.environ.get("LDFLAGS", ""))
        try:
            done = run([*compiler, str(source), "-o", str(program), *linker_flags])
        except OSError as error:
            raise CompileError(NO_COMPILER.format(compiler=compiler[0])) from error
        if done.returncode == 0:
            done = run([str(program)])
        if done.returncode:
            raise CompileError(NO_OPENMP.format(command=shlex.join(compiler), output=done.stdout))
        return done.stdout.splitlines()

    def compile_object(self, version, common, source, name, flags):
        """Compile `source`, if it has changed, and return the path of its object."""
        target = Path(self.build_temp, f"{name}.o")
        files = ["-c", str(source), "-o", str(target)]
        command = [*self.compiler.compiler_so, *common, *flags, *files]
        stamp, digest = target.with_suffix(".sha256"), made_of(version, command, source)
        if target.exists() and stamp.exists() and stamp.read_text() == digest:
            sys.stdout.write(f"{target} is up to date\n")
            return str(target)
        stamp.unlink(missing_ok=True)
        done = run(command)
        sys.stdout.write(f"{shlex.join(command)}\n{done.stdout}")
        if done.returncode:
            reason = f"The compiler must know {shlex.join(flags)}." if flags else ""
            raise CompileError(
                NOT_COMPILED.format(
                    source=source, command=shlex.join(command), output=done.stdout, reason=reason
                )
            )
        stamp.write_text(digest)
        return str(target)


def made_of(version, command, source):
    """Return a digest of all that an object depends on: compiler, command, source, headers."""
    digest = hashlib.sha256(f"{version}\n{shlex.join(command)}\n".encode())
    for path in (source, *HEADERS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(command):
    """Run `command`; return the completed process with all its output in `stdout`."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


setup(
    ext_modules=[
        Extension(
            "vgsim._kernels",
            ["src/vgsim/_kernels.pyx"],
            depends=[str(path) for path in (*HEADERS, *SOURCES)],
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
