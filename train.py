"""Find and test the neuron paths of a Vision Transformer.

usage: train.py COMMAND --config configs/NAME.yaml [options]
       train.py merge RUN... --run_dir DIR [options]
       train.py report RUN [--figures DIR]
       train.py planted [--methods NAMES] [--models NAMES] [--objective NAME]
       train.py shrink RUN [--keep SHARE] [--by NAME]

commands:
  validate   find the neuron paths of images and categories, and test them on held-out images
  test       test the category paths of a finished run on the test images, without a search
  predict    find the neuron paths of images without labels
  fit        train or fine-tune the Vision Transformer
  merge      put the runs of --shard i/n together, and finish them as one run
  report     write the page of a finished run again, and its figures
  planted    judge methods by models whose neuron paths are known
  shrink     make the model of a finished run smaller, and measure it

`train.py COMMAND --help` lists the options of a command; `train.py --version` tells the versions.
"""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] in ([], ["-h"], ["--help"]):
        # At once: what follows imports torch and Lightning, which takes seconds.
        print(__doc__.strip())
        raise SystemExit(0 if sys.argv[1:] else 2)

    import nplight.callbacks  # noqa: F401  (so that configuration files may name them)
    from nplight.cli import main

    main()
