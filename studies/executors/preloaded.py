"""What local workers need, imported once by the process that they are forked from, and kept shared with them."""

import gc

import torch._dynamo  # noqa: F401 - comes with the first optimizer

import harness.run  # noqa: F401

gc.collect()
gc.freeze()  # to look for cycles there would write to every object, and so copy its page in each worker
