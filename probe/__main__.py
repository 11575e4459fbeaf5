"""`python -m probe` is `inference-probe`."""

from probe.cli import main

if __name__ == "__main__":
    main()
