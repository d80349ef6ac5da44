"""The engines: settings, plan and runs of the kernels."""
