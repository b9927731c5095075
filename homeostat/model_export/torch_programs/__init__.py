"""Programs of torch.export: their mode and rows, and those that torch serves as they are."""
