"""`python -m moonas`: the same as the command `moonas`."""

from moonas.cli import main

if __name__ == "__main__":
    main()
