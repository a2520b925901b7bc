"""Find and test neuron paths: `python train.py fit|validate|test|predict --config configs/NAME.yaml`."""

import nplight.callbacks  # noqa: F401  (so that configuration files may name them)
from nplight.cli import main

if __name__ == "__main__":
    main()
