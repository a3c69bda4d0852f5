"""Training and evaluation: what needs labelled data. Run with `python -m train.NAME`."""
