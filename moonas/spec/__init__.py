"""What the user wrote: frozen models, checked, with nothing resolved but names of files."""
