"""Import what local workers need in the process that they are forked from, so that they share its memory."""

import gc

import torch._dynamo  # noqa: F401 - imported by the first optimizer that is made

import harness.run  # noqa: F401

gc.collect()
gc.freeze()  # else the garbage collector would write to every object, and each worker would copy its memory page
