"""``python -m thalweg``, where the command is not on the path."""

from thalweg.cli import main

if __name__ == "__main__":
    main()
