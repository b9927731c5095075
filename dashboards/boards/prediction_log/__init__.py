"""The board of shipper and sink."""
