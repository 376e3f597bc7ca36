"""Networks: described by frozen dataclasses, built as PyTorch modules. One family a file."""
