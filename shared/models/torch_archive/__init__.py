"""`model.pt2`, a program that `torch.export.save` wrote: read as data by code of our own, then built from operators of torch.

`torch.export.load` unpickles, evaluates expressions and resolves names of the file, so it is never called on a version.
"""
